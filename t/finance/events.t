# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A write reaches a parked poll of its organisation and no other; what a crash leaves in the outbox
# is published by the relay.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use JSON::PP qw(decode_json);
use My::DB qw(make_org sql value wait_for);
use My::Finance qw(bearer expense get get_json post_expense);
use Test::More;
use Time::HiRes qw(time);

my ($org, $other) = (make_org(3041), make_org(3042));
my ($owner, $manager) = map { bearer($org, $_) } 1, 2;
my $subscribe = '/finance/realtime/subscribe';

# a poll in a process of its own: its answer and when it came
sub poll {
    my ($token, $query) = @_;
    my $pid = open my $fh, '-|';
    die "fork: $!" unless defined $pid;
    if (!$pid) {
        my $res = get("$subscribe?$query", $token);
        print time, "\n", $res->content;
        close STDOUT;
        require POSIX;
        POSIX::_exit(0);
    }
    return $fh;
}

sub answer {
    my $fh = shift;
    chomp(my $at = <$fh>);
    local $/;
    return (decode_json(<$fh>), $at);
}

my $cursor = get_json("$subscribe?wait=0", $manager)->{cursor};
my $foreign_cursor = get_json("$subscribe?wait=0", bearer($other, 1))->{cursor};
my $parked = poll($manager, "cursor=$cursor&wait=20");
my $foreign = poll(bearer($other, 1), "cursor=$foreign_cursor&wait=3");
my $res = post_expense($owner, 'event-1', expense(30411));
my $sent = time;
is $res->code, 201, 'user 1 posts an expense';
my ($got, $at) = answer($parked);
is scalar @{ $got->{events} }, 1, 'the poll of user 2 is answered with one event';
my $event = $got->{events}[0];
is_deeply [@$event{qw(type propertyId)}], ['expense.created', 30411], 'that says what happened';
is_deeply $event->{data}, decode_json($res->content), 'with the row as the write answered it';
cmp_ok $at - $sent, '<', 5, 'long before its deadline';
is_deeply [(answer($foreign))[0]{events}], [[]], "the other organisation's poll sees nothing";

# not granted: the manager holds the first two properties
post_expense($owner, 'event-2', expense(30413));
post_expense($owner, 'event-3', expense(30412));
my $next = get_json("$subscribe?cursor=$got->{cursor}&wait=5", $manager);
is_deeply [map { $_->{propertyId} } @{ $next->{events} }], [30412], 'events of a property that was not granted stay unseen';

ok wait_for(20, sub { !value("SELECT count(*) FROM event_outbox WHERE org_id = $org AND published_at IS NULL") }),
    'what was published is marked';

# a replay publishes nothing
post_expense($owner, 'event-3', expense(30412));
is_deeply get_json("$subscribe?cursor=$next->{cursor}&wait=0", $manager)->{events}, [], 'a replayed write is no event';

# a child that died between commit and publication leaves its row unmarked
my $left = poll($manager, "cursor=$next->{cursor}&wait=20");
sql("INSERT INTO event_outbox (org_id, property_id, domain, type, event_id, coalesce_key, data, created_at)
     VALUES ($org, 30411, 'finance', 'expense.created', 'LEFTBEHIND1', 'expense:1', '{\"id\":1}', now() - interval '1 minute')");
my ($relayed) = answer($left);
is_deeply [map { $_->{eventId} } @{ $relayed->{events} }], ['LEFTBEHIND1'], 'the relay publishes it';
ok wait_for(10, sub { value("SELECT count(*) FROM event_outbox WHERE event_id = 'LEFTBEHIND1' AND published_at IS NOT NULL") }),
    'and marks it';
done_testing;
