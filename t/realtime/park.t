# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A parked poll is woken by what concerns it, in whichever child it is, and leaves nothing behind.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use MIME::Base64 qw(decode_base64url);
use My::Log qw(expect_error);
use Rt qw(answer caller_of event ids json_of metrics poll publish request subscribe wait_for waiters);
use Socket ();
use Test::More;
use Time::HiRes qw(time);

expect_error('AH00484|AH00286|AH00161');     # event's, worker's and prefork's word: the flood at the end takes every thread for a moment, and is said so

my $cap = 6;        # RealtimeMaxWaiters of t/conf/realtime.conf.in
my ($org, $other) = (5301, 5302);
my $owner = caller_of(org => $org);
my $round = 0;

sub at { return subscribe('a', $owner, 'wait=0')->{cursor} }

# The children that answered this round's polls, when all of them are logged.
sub children {
    my ($mark, $count) = @_;
    my %pid;
    wait_for(5, sub {
        open my $fh, '<', "$ENV{TEST_STAGE}/t/logs/realtime_children" or return 0;
        my @lines = grep { / \Q$mark\E$/ } <$fh>;
        %pid = map { /^(\d+) / ? ($1 => 1) : () } @lines;
        return @lines == $count;
    });
    return scalar keys %pid;
}

# One event wakes all of them, in every child. Which child takes a connection is the kernel's
# choice: rounds go on until two held some.
my ($children, $slowest, $right, @took) = (0, 0, 1);
while ($children < 2 && $round++ < 30) {
    my $start = at();
    my @polls = map { poll('a', $owner, "wait=20&cursor=$start", 'X-Poll' => "wake$round") } 1 .. $cap;
    wait_for(10, sub { waiters($org) == $cap }) or BAIL_OUT('polls are not parked');
    my $sent = time;
    publish('a', event($org, eventId => "wake$round"));
    for my $res (map { answer($_) } @polls) {
        $right &&= ids(json_of($res)) eq "wake$round";
        push @took, $res->{at} - $sent;
        $slowest = $res->{at} - $sent if $res->{at} - $sent > $slowest;
    }
    @polls = ();       # a poll that no thread waited for is logged when its connection goes on, or ends
    $children = children("wake$round", $cap);
}
cmp_ok $children, '>=', 2, "polls were parked in several children (round $round)";
ok $right, 'each got the event';
cmp_ok $slowest, '<', 1, 'within a second';
# without a doorbell a poll looks once a second: half of them well before that were woken
cmp_ok((sort { $a <=> $b } @took)[@took / 2], '<', 0.3, 'most of them at once, by the doorbell');
ok wait_for(5, sub { waiters($org) == 0 }), 'nobody waits any more';

# who sees what
my $staff = caller_of(org => $org, user => 2, role => 'staff', properties => [7]);
my $start = at();
my $theirs = subscribe('a', caller_of(org => $other), 'wait=0')->{cursor};
my %poll = (
    owner    => poll('a', $owner, "wait=20&cursor=$start"),
    staff    => poll('a', $staff, "wait=20&cursor=$start"),
    narrow   => poll('a', $owner, "wait=20&propertyId=9&cursor=$start"),
    types    => poll('a', $owner, "wait=20&types=revenue.*&cursor=$start"),
    stranger => poll('a', caller_of(org => $other), "wait=4&cursor=$theirs"),
);
ok wait_for(5, sub { waiters($org) == 4 && waiters($other) == 1 }), 'five callers are parked';
publish('a', event($org, eventId => 'p8', propertyId => 8));
is ids(json_of(answer(delete $poll{owner}))), 'p8', 'the owner is woken by an event of any property';
ok wait_for(3, sub { waiters($org) == 3 }), 'who was not granted it, or asked for others, stays parked';
publish('a', event($org, eventId => 'p7', propertyId => 7));
is ids(json_of(answer(delete $poll{staff}))), 'p7', 'staff is woken by a granted property, and is not shown the other';
publish('a', event($org, eventId => 'p9', propertyId => 9));
is ids(json_of(answer(delete $poll{narrow}))), 'p9', 'propertyId narrows an owner';
publish('a', event($org, eventId => 'r1', type => 'revenue.created'));
is ids(json_of(answer(delete $poll{types}))), 'r1', 'types wait for theirs';
my $none = json_of(answer(delete $poll{stranger}));
is ids($none), '', 'another organisation sees none of them';
is $none->{gap}, undef, 'and misses none';
is ids(subscribe('a', $staff, "wait=0&cursor=$start")), 'p7 r1', 'replayed events are filtered as well';
is ids(subscribe('a', caller_of(org => $org, user => 3), "wait=0&cursor=$start")), 'p8 p7 p9 r1',
    'another user of the organisation sees what others have read';

# a client that hangs up
$start = at();
my @gone = map { poll('a', $owner, "wait=25&cursor=$start") } 1 .. 4;
ok wait_for(5, sub { waiters($org) == 4 }), 'four polls are parked';
my $left = metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{gone};
close $_ for splice @gone, 0, 2;
setsockopt($_, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0) for @gone;      # RST
close $_ for splice @gone;
ok wait_for(3, sub { waiters($org) == 0 }), 'clients vanish, and nobody waits any more';
ok wait_for(3, sub { metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{gone} == $left + 4 }),
    'each of them is counted as gone';

# a token that ends during the wait
my $token = caller_of(org => $org, user => 4, ttl => 3);
my $expires = JSON::PP::decode_json(decode_base64url((split /\./, $token)[1]))->{exp};
my $brief = poll('a', $token, "wait=25&cursor=$start");
my $res = answer($brief, 10);
my $got = json_of($res);
ok $got->{reauth}, 'a token that expires during the wait is answered with reauth';
cmp_ok $res->{at}, '>', $expires - 0.1, 'not before it expires';
cmp_ok $res->{at}, '<', $expires + 0.7, 'and not later';
is $got->{authExpiresIn}, 0, 'with no time left';
is_deeply $got->{events}, [], 'and no events';
isnt $got->{cursor}, undef, 'but a cursor to go on with';

# the waiter cap is the organisation's
my @parked = map { poll('a', $owner, "wait=20&cursor=$start") } 1 .. $cap;
ok wait_for(5, sub { waiters($org) == $cap }), 'as many polls are parked as RealtimeMaxWaiters allows';
my %retry;
for my $n (1 .. 3) {
    my $res = answer(poll('a', $owner, "wait=20&cursor=$start"));
    my $paced = json_of($res);
    cmp_ok $res->{took}, '<', 1, "one more is answered at once ($n)";
    ok $paced->{retryMs} >= 2000 && $paced->{retryMs} <= 5000, "and told to wait 2 to 5 seconds ($paced->{retryMs} ms)";
    is_deeply [@$paced{qw(events gap drain)}], [[], undef, JSON::PP::false], 'with nothing else to say';
    $retry{$paced->{retryMs}}++;
}
cmp_ok scalar keys %retry, '>', 1, 'each a time of its own';
is ids(subscribe('a', $owner, "wait=20&cursor=earliest&limit=1")), 'wake1', 'a poll that finds events is not paced';
my $idle = answer(poll('a', caller_of(org => $other), 'wait=1'));
is json_of($idle)->{retryMs}, 0, 'another organisation is not paced';
cmp_ok $idle->{took}, '>', 0.8, 'but parked';
publish('a', event($org, eventId => 'cap'));
is join('/', map { ids(json_of(answer($_))) } @parked), join('/', ('cap') x $cap), 'the parked ones are served';

# a flood of polls leaves room to everybody else: most a child is two thirds of its 16 threads, or of
# the connections that it takes, three times as many, where a poll needs no thread
my $share = ($ENV{TEST_MPM} // 'event') eq 'event' ? 32 : 10;
# a process of prefork stays two seconds with a client that was sent away and does not hang up
my $orgs = ($ENV{TEST_MPM} // '') eq 'prefork' ? 5 : 20;
my @flood = map { poll('a', caller_of(org => 5310 + $_), 'wait=6') } map { ($_) x 6 } 1 .. $orgs;
ok wait_for(5, sub { metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{parked} >= 10 }), 'a flood of polls parks';
my $began = time;
is request('GET', '/index.html')->{status}, 200, 'a plain request is answered beside it';
cmp_ok time - $began, '<', 3, 'soon';
is publish('a', event($org, eventId => 'flood'))->{status}, 202, 'and a write';
my $most = metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{parked};
cmp_ok $most, '<=', 8 * $share, "no more than two thirds of the places are taken ($most)";
is scalar(grep { my $res = answer($_); $res && $res->{status} == 200 } @flood), scalar @flood, 'every poll of the flood is answered';
ok wait_for(5, sub { metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{parked} == 0 }), 'and none stays behind';
done_testing;
