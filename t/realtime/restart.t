# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Events outlive the children: a graceful restart answers parked polls and loses nothing, a killed
# child takes its own polls with it and nothing else.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use My::Log qw(expect_error log_mark log_since);
use My::Server ();
use Rt qw(answer caller_of event ids json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;
use Time::HiRes ();

my $logs = "$ENV{TEST_STAGE}/t/logs";
my $org = 5601;
my $owner = caller_of(org => $org);

open my $fh, '<', "$logs/httpd.pid" or die "httpd.pid: $!";
my $parent = <$fh> + 0;

sub at { return subscribe('a', $owner, 'wait=0')->{cursor} }
sub totals { return metrics('a', caller_of(org => $org, role => 'admin'))->{totals} }

# Processes whose parent is the server.
sub children {
    open my $ps, '-|', 'ps', '-o', 'pid=', '--ppid', $parent or die "ps: $!";
    my @pids = map { $_ + 0 } <$ps>;
    close $ps;
    return @pids;
}

sub gone { return !grep { kill 0, $_ } @_ }


for my $round (1 .. 2) {
    my $start = at();
    my @old = children();
    my @polls = map { poll('a', $owner, "wait=25&cursor=$start") } 1 .. 6;
    ok wait_for(10, sub { waiters($org) == 6 }), 'six polls are parked';
    # an event that these polls do not want stays for the cursor
    publish('b', event($org, eventId => "before-$round"));
    my $mark = log_mark();
    my $sent = Time::HiRes::time();
    kill USR1 => $parent or die "kill: $!";
    my @answers = map { answer($_, 10) } @polls;
    is scalar(grep { $_ && $_->{status} == 200 } @answers), 6, 'a graceful restart answers each';
    my @said = map { json_of($_) } grep { $_ } @answers;
    is scalar(grep { $_->{drain} } @said), 6, 'with drain';
    is scalar(grep { $_->{retryMs} >= 100 && $_->{retryMs} <= 1000 } @said), 6, 'a short time to come back in';
    cmp_ok scalar(keys %{ { map { $_->{retryMs} => 1 } @said } }), '>', 1, 'that is not the same for all';
    is scalar(grep { $_->{head} =~ /^Connection:.*\bclose\r$/m } grep { $_ } @answers), 6, 'and Connection: close';
    is scalar(grep { !@{ $_->{events} } && !$_->{gap} } @said), 6, 'no event and no gap';
    cmp_ok((sort { $b <=> $a } map { $_->{at} - $sent } grep { $_ } @answers)[0], '<', 5, 'soon');
    ok wait_for(10 * My::Server::slowness(), sub { log_since($mark) =~ /resuming normal operations/ }), 'the server is back';
    ok wait_for(5 * My::Server::slowness(), sub { gone(@old) }), 'and the old children are gone';
    is ids(subscribe('b', $owner, 'wait=0&cursor=earliest')), join(' ', map { "before-$_" } 1 .. $round),
        'an event published before the restart is there after it';
    publish('a', event($org, eventId => "after-$round"));
    is ids(subscribe('a', $owner, "wait=5&cursor=$said[0]{cursor}")), "after-$round", 'a cursor of the drained poll goes on';
    ok wait_for(5, sub { waiters($org) == 0 && totals()->{parked} == 0 }), 'nobody is counted as waiting';
}

# kill -9 of the children that hold polls
expect_error('AH00052: child pid \d+ exit signal Killed');
my $start = at();
publish('a', event($org, eventId => 'kept'));
my $behind = at();
my @polls = map { poll('a', $owner, "wait=25&cursor=$behind") } 1 .. 6;
ok wait_for(10, sub { waiters($org) == 6 }), 'six polls are parked';
my @killed = children();
kill KILL => @killed;
is scalar(grep { !defined answer($_, 10) } @polls), 6, 'their children are killed, and the polls end without an answer';
ok wait_for(20, sub { eval { waiters($org) == 0 } }), 'new children count none of them';
ok wait_for(5, sub { totals()->{parked} == 0 }), 'nor hold places for them';
ok gone(@killed), 'the old ones are gone';
is ids(subscribe('a', $owner, "wait=0&cursor=$start")), 'kept', 'what was published before is replayed by cursor';
my $again = poll('a', $owner, "wait=20&cursor=$behind");
ok wait_for(5, sub { waiters($org) == 1 }), 'a client that comes back is parked';
publish('a', event($org, eventId => 'later'));
is ids(json_of(answer($again))), 'later', 'and woken';

# one of several: polls of the others stay parked and are woken
my (@held, $victim);
for my $try (1 .. 30) {
    @held = map { poll('a', $owner, "wait=25&cursor=" . at()) } 1 .. 6;
    wait_for(10, sub { waiters($org) == 6 }) or BAIL_OUT('polls are not parked');
    $victim = (children())[0];
    kill KILL => $victim;
    my @lost = grep { IO::Select->new($_)->can_read(1) } @held;
    my $rest = 6 - @lost;
    ok wait_for(20, sub { waiters($org) == $rest }), scalar(@lost) . " polls die with a child, $rest stay counted";
    publish('a', event($org, eventId => "some$try"));
    my @ids = map { ids(json_of(answer($_))) } grep { my $poll = $_; !grep { $_ == $poll } @lost } @held;
    is_deeply \@ids, [("some$try") x $rest], 'each of those is woken';
    ok wait_for(5, sub { waiters($org) == 0 }), 'then nobody waits';
    last if @lost && $rest;
}
is request('GET', '/index.html')->{status}, 200, 'the server is healthy';
done_testing;
