# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The database is slow, a table is locked, the pool is empty, the stream is broken (F15, B42): each
# request ends in time with the right problem, and what needs no database is not slowed. Times are
# the server's own (%D).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Db qw($ORG ask_list ask_post ends_well list lock_table median no_database post recovers repeat served site unlock_table verdict);
use My::DB qw(value);
use POSIX ();
use Rt qw(answer);
use Test::More;

use constant { DEADLINE => 1.5, WAIT => 0.3 };
my $site = site('db_slow', lines => "FinanceDeadline 1500ms\nFinancePoolWait 300ms\nFinancePoolMax 2\n");
my ($pg, $proxy, $httpd) = @$site{qw(pg proxy httpd)};
my ($late, $busy, $down) = ('504 database_timeout', '503 database_busy', '503 upstream_unavailable');
my $log = $httpd->dir . '/access_log';

recovers('before');

# What needs no database, a number of times: how long, the middle and the worst
sub undisturbed {
    my $name = shift;
    my $mark = -s $log;
    no_database($name) for 1 .. 20;
    my @lines = grep { $_->{request} !~ /finance/ } served($httpd, $mark, 60);
    my @took = sort { $a <=> $b } map { $_->{seconds} } @lines;
    return (median(@took), $took[-1]);
}
my ($baseline) = undisturbed('healthy');

# Other processes that ask all the time, more of them than the children have connections
my @pids;
sub load {
    for (1 .. 16) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            $SIG{TERM} = 'DEFAULT';
            list() while 1;
        }
        push @pids, $pid;
    }
    return;
}
sub unload {
    kill TERM => @pids;
    waitpid $_, 0 for splice @pids;
    return;
}
END { kill TERM => @pids if @pids }

# Under load: who may be told what, the time of each kind, and the others' times
sub holds {
    my ($name, $must, @may) = @_;
    my $mark = -s $log;
    load();
    my ($middle, $worst) = undisturbed($name);
    my @verdicts = map { verdict(answer($_)) } map { ask_list() } 1 .. 12;
    for my $status (@$must) {
        ok Rt::wait_for(10, sub { grep { $_->{status} == $status } served($httpd, $mark, 1) }), "$name: some get $status";
    }
    unload();
    my %may = map { $_ => 1 } @may;
    is_deeply [grep { !$may{$_} } @verdicts], [], "$name: a list is one of @may";
    # a machine with two cores and sixteen who ask: twice the time, and some milliseconds
    cmp_ok $middle, '<=', 2 * $baseline + 0.02, "$name: what needs no database is as fast as before";
    cmp_ok $worst, '<=', 1, "$name: and none of it waits";
    my @lines = grep { $_->{request} =~ /finance/ } served($httpd, $mark, 12);
    my @refused = map { $_->{seconds} } grep { $_->{status} == 503 } @lines;
    my @late = map { $_->{seconds} } grep { $_->{status} == 504 } @lines;
    cmp_ok median(@refused), '<=', WAIT + 0.1, "$name: " . @refused . ' refused within FinancePoolWait' if @refused;
    cmp_ok median(@late), '<=', DEADLINE + 0.1, "$name: " . @late . ' late at FinanceDeadline' if @late;
    cmp_ok +(sort { $a <=> $b } @refused, @late)[-1], '<=', DEADLINE + 1, "$name: the longest is not far from it";
    return;
}

$proxy->set(mode => 'delay', by => 0.25, jitter => 0.05, from => 'server');
holds('slow by 0.25 s', [200, 503], '200', $busy);
ok Rt::wait_for(5, sub { verdict(post('slow')) eq '201' }), 'slow by 0.25 s: a write is done';

$proxy->set(mode => 'delay', by => 2);
holds('slow by 4 s', [503, 504], $late, $busy, $down);
$proxy->pass;
recovers('fast again');

lock_table();
holds('table locked', [503, 504], $late, $busy);
my @writes = map { ask_post("locked-$_") } 1 .. 3;
my @verdicts = map { verdict(answer($_)) } @writes;
is_deeply [grep { $_ ne $late && $_ ne $busy } @verdicts], [], 'table locked: writes are told likewise';
unlock_table();
recovers('unlocked');
is_deeply [map { repeat("locked-$_") } 1 .. 3], [(201) x 3], 'unlocked: the writes repeated are done';

# What a network does to the stream. A probe that hangs in it is given up after 2 s, libpq's least.
my @broken = (
    ['a black hole',         mode => 'hole', from => 'server', after => 0],
    ['a black hole, midway', mode => 'hole', from => 'server', after => 400],
    ['a stream cut',         mode => 'cut', from => 'server', after => 0],
    ['a stream cut, midway', mode => 'cut', from => 'server', after => 400],
    ['an answer truncated',  mode => 'truncate', from => 'server', after => 0],
    ['garbage',              mode => 'garbage', from => 'server', after => 0],
    ['garbage, midway',      mode => 'garbage', from => 'server', after => 400],
    ['200 bytes a second',   mode => 'drip', rate => 200],
    ['nobody listens',       mode => 'refuse'],
    ['silence',              mode => 'silent']
);
my @took;
for my $fault (@broken) {
    my ($name, %rule) = @$fault;
    $proxy->set(%rule);
    my $mark = -s $log;
    my @got = map { verdict(answer($_)) } map { (ask_list(), ask_post($name =~ s/\W/-/gr . "-$_")) } 1 .. 4;
    push @took, map { $_->{seconds} } served($httpd, $mark, 8);
    is_deeply [grep { !/^20[01]$/ && $_ ne $late && $_ ne $busy && $_ ne $down } @got], [], "$name: each is told why not";
    no_database($name);
    $proxy->pass;
    recovers("after $name", within => 2.5);
    is_deeply [map { repeat($name =~ s/\W/-/gr . "-$_") } 1 .. 4], [(201) x 4], "after $name: the writes are done";
}
cmp_ok median(@took), '<=', DEADLINE + 0.1, 'broken streams: requests end by the deadline and 100 ms';
cmp_ok +(sort { $b <=> $a } @took)[0], '<=', DEADLINE + 1, 'broken streams: the longest is not far from it';
is value("SELECT count(*) FROM transactions"), 1 + 3 + 4 * @broken, 'each write once';

ends_well($httpd);
done_testing;
