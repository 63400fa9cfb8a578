# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A write outdates exactly what its tags stand for, in all children, before it is answered; and a read that
# began before the write never brings back what was (decisions.md 12, 13).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask at_edge status_of);
use My::Log qw(expect_error);
use Origin ();
use POSIX ();
use Test::More;
use Time::HiRes ();

my $origin = Origin->new('purge');
my $port = $origin->port;
my @by = (by => { org => 41, user => 1, role => 'owner' });
my @other = (by => { org => 42, user => 1, role => 'owner' });

sub read_of { my ($path, @who) = @_; my $res = ask("GET /ledger/$port$path", @who ? @who : @by); return "$res->{body} " . status_of($res) }
my $written = "$ENV{TEST_STAGE}/t/logs/edge_purge_written";

# How many writes were answered: as the writer says, and as readers hear it.
sub written {
    if (@_) {
        open my $fh, '>', "$written.new" or die "$written.new: $!";
        print $fh shift;
        close $fh;
        rename "$written.new", $written or die "$written: $!";
    }
    open my $fh, '<', $written or die "$written: $!";
    return scalar <$fh>;
}

sub write_to { my ($path, %how) = @_; return ask(($how{method} // 'POST') . " /ledger/$port$path", %{ $how{by} // {@by} }, 'Content-Length' => 0)->{status} }

$origin->says("/r$_", body => "old$_") for 1 .. 4;
$origin->says('/w', body => 'done');
my @paths = map { "/r$_?propertyId=$_" } 1 .. 4;
read_of($_) for @paths;
read_of($paths[0], @other);
is join('|', map { read_of($_) } @paths), 'old1 hit|old2 hit|old3 hit|old4 hit', 'all kept';
$origin->says("/r$_", body => "new$_") for 1 .. 4;
is join('|', map { read_of($_) } @paths), 'old1 hit|old2 hit|old3 hit|old4 hit', 'until something is written';
for my $method (qw(POST PUT PATCH DELETE)) {
    read_of($paths[0]);
    is write_to('/w?propertyId=1', method => $method), 200, $method;
    isnt read_of($paths[0]), 'old1 hit', 'outdates what it is about';
}
is read_of($paths[0]), 'new1 hit', 'which is kept anew';
is join('|', map { read_of($_) } @paths[1 .. 3]), 'old2 hit|old3 hit|old4 hit', 'and nothing else';
is read_of($paths[0], @other) =~ s/ .*//r, 'new1', 'of the same name elsewhere as well';
write_to('/w?propertyId=2,4');
is join('|', map { read_of($_) =~ s/ .*//r } @paths[1 .. 3]), 'new2|old3|new4', 'a list outdates each of it';

# what was refused wrote nothing; what broke off may have
$origin->says("/r3", body => 'new3');
for my $status (400, 403, 404, 409, 422, 429) {
    $origin->says("/s$status", status => $status, body => 'no');
    write_to("/s$status?propertyId=3");
}
is read_of($paths[2]), 'old3 hit', 'a refusal outdates nothing';
for my $status (201, 204, 303, 500, 503) {
    $origin->says('/r3', body => "before$status");
    write_to('/w?propertyId=3');
    read_of($paths[2]);
    $origin->says('/r3', body => "after$status");
    $origin->says("/s$status", status => $status, Location => '/x', body => '');
    write_to("/s$status?propertyId=3");
    is read_of($paths[2]) =~ s/ .*//r, "after$status", "$status outdates";
}
expect_error('AH01102', 'AH10267', 'AH10508', 'AH01097', 'AH00898');
$origin->says('/r3', body => 'before');
write_to('/w?propertyId=3');
read_of($paths[2]);
$origin->says('/r3', body => 'after');
$origin->says('/broken', raw => '', close => 1);
is write_to('/broken?propertyId=3'), 502, 'no answer';
is read_of($paths[2]) =~ s/ .*//r, 'after', 'may have written';

# a read that began before the write, and ends behind it
$origin->says('/slow', body => 'old', delay => 1);
my $reader = fork // die "fork: $!";
if (!$reader) {
    read_of('/slow?propertyId=7');
    POSIX::_exit(0);
}
my $end = Time::HiRes::time() + 20;
select undef, undef, undef, 0.01 until $origin->asked('/slow') || Time::HiRes::time() > $end;
$origin->says('/slow', body => 'new');
is write_to('/w?propertyId=7'), 200, 'a write while somebody reads';
waitpid $reader, 0;
is read_of('/slow?propertyId=7'), 'new fwd=stale; stored', 'what he read is not kept for after it';

# at once for every child: readers and a writer, nobody ever sees less than was written before he asked
my $rounds = 150;
$origin->says('/count', body => 0);
written(0);
my @readers = map {
    pipe my $out, my $in;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $out;
        my ($bad, $hits) = (0, 0);
        while (1) {
            my $before = written();
            my $res = ask("GET /ledger/$port/count?propertyId=8", @by);
            $bad++ if $res->{status} != 200 || $res->{body} < $before;
            $hits++ if status_of($res) =~ /^hit/;
            last if $before >= $rounds;
        }
        print $in "$bad $hits\n";
        close $in;
        POSIX::_exit(0);
    }
    close $in;
    [$pid, $out];
} 1 .. 4;
for my $n (1 .. $rounds) {
    $origin->says('/count', body => $n);
    write_to('/w?propertyId=8') == 200 or die 'a write failed';
    written($n);
}
my ($bad, $hits) = (0, 0);
for my $reader (@readers) {
    my ($pid, $out) = @$reader;
    my ($b, $h) = split / /, <$out> // '999 0';
    $bad += $b;
    $hits += $h;
    waitpid $pid, 0;
}
is $bad, 0, "$rounds writes, and no read saw less than was written before it";
cmp_ok $hits, '>', 0, 'though some were hits';
done_testing;
