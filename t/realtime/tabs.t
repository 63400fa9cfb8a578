# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Of the polls of one browser tab (Realtime-Tab) the newest stays, in whichever child they are.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use Rt qw(answer caller_of event ids json_of metrics poll publish status_of subscribe wait_for waiters);
use Test::More;
use Time::HiRes ();

my ($org, $other) = (5901, 5902);
my $owner = caller_of(org => $org);
my $admin = caller_of(org => $org, role => 'admin');
my $cap = 6;        # RealtimeMaxWaiters of t/conf/realtime.conf.in

sub at { return subscribe('a', $owner, 'wait=0')->{cursor} }
sub totals { return metrics('a', $admin)->{totals} }
sub parked { my $n = shift; return wait_for(5, sub { waiters($org) == $n }) }

# the newer ends the older, which hears so
my $start = at();
my $before = totals()->{replaced};
my $older = poll('a', $owner, "wait=25&cursor=$start", 'Realtime-Tab' => 'tab-1');
ok parked(1), 'a poll of a tab is parked';
my $sent = Time::HiRes::time();
my $newer = poll('a', $owner, "wait=25&cursor=$start", 'Realtime-Tab' => 'tab-1');
my $res = answer($older, 10);
is $res->{status}, 200, 'a newer one of the tab has it answered';
cmp_ok $res->{at} - $sent, '<', 1, 'soon';
my $said = json_of($res);
is_deeply [@$said{qw(replaced events gap more retryMs reauth drain)}],
    [JSON::PP::true, [], undef, JSON::PP::false, 0, JSON::PP::false, JSON::PP::false], 'as replaced, and nothing else';
like $res->{head}, qr/^Connection:.*\bclose\r$/m, 'its connection ends';
ok parked(1), 'its place is free, the newer one stays';
is totals()->{replaced} - $before, 1, 'it is counted';
publish('a', event($org, eventId => 'n1'));
my $got = json_of(answer($newer));
is ids($got), 'n1', 'the newer one gets what comes';
ok !exists $got->{replaced}, 'and hears nothing of being replaced';
is ids(subscribe('a', $owner, "wait=0&cursor=$said->{cursor}")), 'n1', 'the cursor of the older one is good, and behind nothing that it missed';

# a tab that polls on as it should replaces nothing
my $cursor = at();
for my $n (1 .. 5) {
    my $poll = poll('a', $owner, "wait=25&cursor=$cursor", 'Realtime-Tab' => 'tab-1');
    parked(1) or BAIL_OUT('not parked');
    publish('a', event($org, eventId => "m$n"));
    $got = json_of(answer($poll));
    ids($got) eq "m$n" && !$got->{replaced} or BAIL_OUT("poll $n: " . ids($got));
    $cursor = $got->{cursor};
}
is totals()->{replaced} - $before, 1, 'one poll after the other replaces nothing';

# who is another tab
my @stay = (
    poll('a', $owner, "wait=25&cursor=$cursor", 'Realtime-Tab' => 'tab-1'),
    poll('a', $owner, "wait=25&cursor=$cursor", 'Realtime-Tab' => 'tab-2'),
    poll('a', caller_of(org => $org, user => 2), "wait=25&cursor=$cursor", 'Realtime-Tab' => 'tab-1'),
    poll('a', $owner, "wait=25&cursor=$cursor"),
    poll('a', $owner, "wait=25&cursor=$cursor"),
);
my $stranger = poll('a', caller_of(org => $other), 'wait=25', 'Realtime-Tab' => 'tab-1');
my $elsewhere = poll('b', $owner, 'wait=25', 'Realtime-Tab' => 'tab-1');
ok parked(5) && wait_for(5, sub { waiters($other) == 1 && metrics('b', $owner)->{waiters} == 1 }),
    'another tab, user, organisation, domain, and polls without a tab, are parked beside one another';
ok !IO::Select->new(@stay, $stranger, $elsewhere)->can_read(0.3), 'and stay';
# a poll that does not wait replaces as well
subscribe('a', $owner, 'wait=0', 'Realtime-Tab' => 'tab-2');
ok json_of(answer($stay[1], 10))->{replaced}, 'a newer poll that is answered at once replaces as well';
ok parked(4), 'its own tab alone';
publish($_->[0], event($_->[1], eventId => 'all')) for ['a', $org], ['a', $other], ['b', $org];
is join(' ', map { ids(json_of(answer($_))) } @stay[0, 2 .. 4], $stranger, $elsewhere), join(' ', ('all') x 6), 'the others are served';

# wherever they are. Which child takes a connection is the kernel's choice, who prefers one where little goes on:
# other connections take turns with it, and rounds go on until the two were in two of them.
my ($children, $round, $slowest, $wrong) = (0, 0, 0, 0);
my $end = Time::HiRes::time() + 90;
while ($children < 2 && Time::HiRes::time() < $end) {
    $round++;
    $cursor = at();
    $older = poll('a', $owner, "wait=25&cursor=$cursor", 'Realtime-Tab' => 'far', 'X-Poll' => "tab$round");
    parked(1) or BAIL_OUT('not parked');
    $sent = Time::HiRes::time();
    my @idle = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => Apache::Test::vars('port')) } 1 .. $round % 8;
    $newer = poll('a', $owner, "wait=25&cursor=$cursor", 'Realtime-Tab' => 'far', 'X-Poll' => "tab$round");
    $res = answer($older, 10);
    $wrong++ unless $res && json_of($res)->{replaced};
    $slowest = $res->{at} - $sent if $res && $res->{at} - $sent > $slowest;
    parked(1) or $wrong++;
    publish('a', event($org, eventId => "far$round"));
    ids(json_of(answer($newer))) eq "far$round" or $wrong++;
    undef $_ for $older, $newer;        # then they are logged
    my %pid;
    wait_for(5, sub {
        open my $fh, '<', "$ENV{TEST_STAGE}/t/logs/realtime_children" or return 0;
        my @lines = grep { / tab$round$/ } <$fh>;
        %pid = map { /^(\d+) / ? ($1 => 1) : () } @lines;
        return @lines == 2;
    });
    $children = keys %pid;
}
is $children, 2, "the older and the newer were in two children (round $round)";
is $wrong, 0, 'the newer one stayed each time';
cmp_ok $slowest, '<', 1, 'the older one never took a second';

# at the same time: one of them
$wrong = 0;
for my $round (1 .. 20) {
    $cursor = at();
    my @polls = map { poll('a', $owner, "wait=25&cursor=$cursor", 'Realtime-Tab' => "same$round") } 1 .. $cap;
    my @replaced;
    wait_for(10, sub {
        for my $socket (IO::Select->new(@polls)->can_read(0.05)) {
            push @replaced, json_of(answer($socket, 5));
            @polls = grep { $_ != $socket } @polls;
        }
        return @polls == 1;
    });
    $wrong++ if @polls != 1 || grep { !$_->{replaced} } @replaced;
    parked(1) or $wrong++;
    publish('a', event($org, eventId => "same$round"));
    $wrong++ unless @polls == 1 && ids(json_of(answer($polls[0]))) eq "same$round";
}
is $wrong, 0, "of $cap polls at the same time exactly one stays, and is served";
ok wait_for(5, sub { waiters($org) == 0 && totals()->{parked} == 0 }), 'then nobody waits';

# what a tab may be called
for my $case (['a', 200], ['A_-9' x 16, 200], ['x' x 65, 400], ['', 400], ['a b', 400], ['a,b', 400], ['a.b', 400], ["t\xc3\xa4b", 400]) {
    my ($tab, $status) = @$case;
    my $shown = length $tab > 20 ? length($tab) . ' characters' : "'$tab'";
    is status_of('a', $owner, 'wait=0', 'Realtime-Tab' => $tab), $status, "Realtime-Tab of $shown is $status";
}
done_testing;
