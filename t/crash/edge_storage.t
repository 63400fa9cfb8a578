# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F02, F03, F23 for the storage orgscale: a child is killed, or is stopped, at each place of its critical sections
# in turn. Nobody else waits longer than he may, and nobody ever gets a byte that is not of what he asked for.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$ENV{TEST_STAGE}/t/edge";
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use Origin ();
use Stored qw(ask counts server settings wait_for);
use Test::More;
use Time::HiRes qw(time);

# With a margin for a loaded machine: EdgeCollapseWait, and some locks of 20 ms
my $within = 6;

expect_error('AH00052: child pid \d+ exit signal Killed', 'AH00050', 'AH00051');
expect_warn('AH1039[23]');      # the parent's word on so many deaths
my $hooks = My::Hooks->new;
my $origin = Origin->new('crash');
my $port = $origin->port;
my $httpd = server('edge_storage_crash', env => $hooks->env, mpm => <<'MPM', lines => settings("EdgeCacheSize 1M\nEdgeCacheMaxEntry 64K\nEdgeCollapseWait 1s\n"));
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    32
MaxSpareThreads    64
ThreadsPerChild    8
ServerLimit        12
</IfModule>
MPM

my $count = 0;
sub body_of { my $path = shift; return "$path " x 2000 }
sub fresh { my $path = '/c' . $count++; $origin->says($path, body => body_of($path), ETag => "\"$path\"", @_); return $path }
sub is_right { my ($path, $res) = @_; return $res && $res->{status} == 200 && $res->{body} eq body_of($path) }
sub get { my $path = shift; return eval { ask("GET /long/$port$path?id=5") } }

sub begin {
    my $path = shift;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!";
    print $socket "GET /long/$port$path?id=5 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    return $socket;
}

# Its answer, unless the crash point struck: then nobody may be left to give it
sub until_struck {
    my $socket = shift;
    wait_for($within, sub { $hooks->struck || IO::Select->new($socket)->can_read(0) });
    return if $hooks->struck;
    local $/;
    return Http::parse(scalar <$socket>);
}

sub is_dead {
    open my $stat, '<', "/proc/$_[0]/stat" or return 1;
    return (<$stat> // 'Z') =~ /\) Z|^Z$/;
}

my @known = map { fresh() } 1 .. 6;
$origin->says('/write', body => 'written');
sub purge { return ask("POST /long/$port/write?id=5", 'Content-Length' => 0) }
# what is to be asked for when the crash point is armed
my %operation = (
    'a miss' => sub { return fresh() },
    'a hit' => sub { my $path = fresh(); get($path); return $path },
    'a revalidation' => sub { my $path = fresh(); get($path); purge(); return $path },
    'an eviction' => sub { get(fresh()) for 1 .. 90; return fresh() },
);
for my $signal (qw(KILL STOP)) {
    for my $name (sort keys %operation) {
        my $struck = 0;
        for my $nth (1 .. 200) {
            my $what = "SIG$signal at place $nth of $name";
            my $path = $operation{$name}->();
            $hooks->arm($nth, $signal);
            my $socket = begin($path);
            my $res = until_struck($socket);
            my $victim = $hooks->struck;
            $hooks->disarm;
            if (!$victim) {
                ok is_right($path, $res), "$name: and then it is answered";
                last;
            }
            $struck++;
            $signal eq 'STOP' || wait_for(10, sub { is_dead($victim) }) or die "$what: it lives";
            my (@wrong, $longest);
            for my $other ($path, @known) {
                my $began = time;
                push @wrong, $other unless is_right($other, get($other));
                my $took = time - $began;
                $longest = $took if !$longest || $took > $longest;
            }
            is "@wrong", '', "$what: all others get what they asked for";
            cmp_ok $longest, '<', $within, "$what: in time";
            kill CONT => $victim if $signal eq 'STOP';
            ok is_right($path, get($path)), "$what: and then";
        }
        cmp_ok $struck, '>=', $name eq 'a hit' ? 4 : 12, "$name: $struck places for SIG$signal";
    }
}
my $path = fresh();
get($path);
is get($path)->{says}, 'hit', 'in the end all is kept again';
my $counts = counts();
cmp_ok $counts->{ShardsEmptied}, '>', 10, 'though it was emptied';
cmp_ok $counts->{LockTimeouts}, '>', 10, 'and not waited for';

# F23: ages go by the clock that nobody sets
$hooks->clock(500);
is get($path)->{says}, 'hit', 'fresh for ten minutes';
$hooks->clock(600);
is get($path)->{says}, 'fwd=uri-miss; stored', 'and not longer';
is get($path)->{says}, 'hit', 'then kept anew';

my ($status, $took) = $httpd->stop;
is $status, 0, 'the server stops as it should';
cmp_ok $took, '<', 10, 'in time';
done_testing;
