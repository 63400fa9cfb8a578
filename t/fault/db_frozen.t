# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL stands still (F13): all of it, and one backend. Times are the server's own (%D).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Db qw($ORG ask_list ask_post ends_well list median no_database post recovers repeat served site verdict);
use My::DB qw(value);
use Rt qw(answer caller_of event poll publish subscribe);
use Test::More;

my $DEADLINE = 1;
my $site = site('db_frozen', lines => "FinanceDeadline ${DEADLINE}s\n");
my ($pg, $httpd) = @$site{qw(pg httpd)};
my ($late, $busy, $down) = ('504 database_timeout', '503 database_busy', '503 upstream_unavailable');
my $log = $httpd->dir . '/access_log';

# Requests that a frozen server was asked: the deadline and 100 ms. A machine that is busy may hold
# up a few of them, which the slack of the longest is for; what hung would hang for ever.
sub in_time {
    my ($name, @took) = @_;
    cmp_ok median(@took), '<=', $DEADLINE + 0.1, "$name: " . @took . ' requests end by the deadline and 100 ms';
    cmp_ok +(sort { $b <=> $a } @took)[0], '<=', $DEADLINE + 1, "$name: the longest is not far from it";
    return;
}

recovers('before');
my @took;
for my $round (1 .. 2) {
    my $parked = poll('a', caller_of(org => 8), 'wait=20&cursor=' . subscribe('a', caller_of(org => 8), 'wait=0')->{cursor});
    answer($_) for map { ask_list() } 1 .. 8;       # connections lie idle in both children
    my $mark = -s $log;
    $pg->freeze;
    my @verdicts = map { verdict(answer($_)) } map { (ask_list(), ask_post("frozen-$round-$_")) } 1 .. 6;
    is_deeply [grep { $_ ne $late && $_ ne $busy && $_ ne $down } @verdicts], [], "frozen $round: each is told why not";
    ok scalar(grep { $_ eq $late } @verdicts), "frozen $round: late as long as the breaker is closed";
    push @took, map { $_->{seconds} } grep { $_->{request} =~ /finance/ } served($httpd, $mark, 12);
    no_database("frozen $round");
    publish('a', event(8));
    is answer($parked, 5)->{status}, 200, "frozen $round: a parked poll is woken";

    # once its breaker is open, in each child, no thread waits any more
    ok Rt::wait_for(15, sub {
        $mark = -s $log;
        my @verdicts = map { verdict(answer($_)) } map { ask_list() } 1 .. 20;
        return median(map { $_->{seconds} } served($httpd, $mark, 20)) <= 0.1 && !grep { $_ ne $down } @verdicts;
    }), "frozen $round: then refused at once";
    $pg->thaw;
    recovers("thawed $round");
    is_deeply [map { repeat("frozen-$round-$_") } 1 .. 6], [(201) x 6], "thawed $round: the writes repeated are done";
}
in_time('frozen', @took);
is value('SELECT count(*) FROM transactions'), 12, 'each write once';

# One backend: who borrows it is late, and nobody else notices
my $victim = value("SELECT pid FROM pg_stat_activity WHERE usename = 'orgscale_app' ORDER BY random() LIMIT 1");
kill STOP => $victim or die "kill: $!";
my $mark = -s $log;
my @verdicts = map { verdict(list()) } 1 .. 60;
kill KILL => $victim;       # takes the others with it (F12), so it is last
my $n = grep { $_ ne '200' } @verdicts;
cmp_ok $n, '<=', 1, 'one backend frozen: one request at most meets it';
is_deeply [grep { $_ ne '200' && $_ ne $late } @verdicts], [], 'and is late';

ends_well($httpd);
done_testing;
