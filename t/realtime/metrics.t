# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Metrics count what happened: an organisation sees its own, an admin the server's.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use List::Util qw(sum);
use My::Server;
use Rt qw(answer caller_of event json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;

my $org = 5501;
my $owner = caller_of(org => $org);
my $admin = caller_of(org => $org, role => 'admin');

is_deeply metrics('a', $owner), { domain => 'rt_a', orgId => $org, buffered => 0, bufferedBytes => 0, bufferSize => 50,
    waiters => 0, waitersMost => 6 },
    'an organisation sees its own buffer';
is request('GET', '/rt/a/metrics')->{status}, 401, 'nobody sees it without a token';
my $res = request('POST', '/rt/a/metrics', '{}', Authorization => $owner);
is $res->{status}, 405, 'POST is 405';
like $res->{head}, qr/^Allow: GET, HEAD\r$/m, 'with what is allowed';
like request('GET', '/rt/a/metrics', undef, Authorization => $owner)->{head}, qr/^Cache-Control: no-store\r$/m, 'no cache keeps it';
ok !exists metrics('a', caller_of(org => undef, role => 'admin'))->{buffered}, 'an admin of no organisation sees no buffer';

# Totals by name; of the histogram its count, of the children what they have parked.
sub flat {
    my $totals = metrics('a', $admin)->{totals};
    delete $totals->{buffersGivenBack};     # grows by itself, with what other suites left
    my %flat = (wake => (delete $totals->{wakeMicros})->{count});
    for my $child (@{ delete $totals->{children} }) {
        $flat{$_} += $child->{$_} for qw(waitio condvar);
    }
    for my $name (keys %$totals) {
        my $value = $totals->{$name};
        $flat{ ref $value ? "$name.$_" : $name } = ref $value ? $value->{$_} : $value for ref $value ? keys %$value : 1;
    }
    return \%flat;
}

# what happens => which totals grow by how much
my $start = subscribe('a', $owner, 'wait=0')->{cursor};
my $foreign = subscribe('a', caller_of(org => $org + 1), 'wait=0')->{cursor};
my %bytes = ('store.bytesUsed' => 'more');
my @cases = (
    ['an event is published', sub { publish('a', event($org, eventId => 'm1')) }, { published => 1, 'store.slotsUsed' => 1, %bytes }],
    ['a duplicate', sub { publish('a', event($org, eventId => 'm1')) }, { 'dropped.duplicate' => 1 }],
    ['an event is fetched', sub { subscribe('a', $owner, "wait=0&cursor=$start") }, { polls => 1, delivered => 1 }],
    ['a poll without events', sub { subscribe('a', $owner, 'wait=0') }, { polls => 1 }],
    ['a foreign cursor', sub { subscribe('a', $owner, "wait=0&cursor=$foreign") }, { polls => 1, 'gaps.foreign' => 1 }],
    ['a refused poll', sub { answer(poll('a', $owner, 'wait=x')) }, {}],
    ['51 events', sub { publish('a', [map { event($org, eventId => "m51-$_") } 1 .. 51]) }, { published => 51, %bytes }],
    ['an evicted cursor', sub { subscribe('a', $owner, "wait=0&cursor=$start") }, { polls => 1, 'gaps.evicted' => 1 }],
    ['a poll that is woken', sub {
        my $poll = poll('a', $owner, 'wait=20');
        wait_for(5, sub { waiters($org) == 1 }) or diag 'not parked';
        publish('a', event($org, eventId => 'wake'));
        answer($poll);
    }, { polls => 1, published => 1, delivered => 1, wake => 1, %bytes }],
);
for my $case (@cases) {
    my ($what, $do, $grows) = @$case;
    my $before = flat();
    $do->();
    my $after = flat();
    my %grew = map { my $by = $after->{$_} - $before->{$_}; $by ? ($_ => /bytes/ && $by > 0 ? 'more' : $by) : () } keys %$after;
    is_deeply \%grew, $grows, "$what is counted";
}
is metrics('a', $owner)->{buffered}, 50, 'the buffer is full';
cmp_ok metrics('a', $owner)->{bufferedBytes}, '>', 50 * 100, 'with the bytes that its events take';
my $store = metrics('a', $admin)->{totals}{store};
cmp_ok $store->{bytes}, '>', 0.7 * 64 * 1024 * 1024, 'the store has most of RealtimeBufferMemory';
cmp_ok $store->{bytesUsed}, '<', $store->{bytes}, 'and uses a part of it';
cmp_ok $store->{slotsUsed}, '<', $store->{slots}, 'for some organisations';

# the wakes of this test alone: quantiles from the difference of two readings
sub buckets { return { map { $_->[0] => $_->[1] } @{ shift->{buckets} } } }
my $before = metrics('a', $admin)->{totals}{wakeMicros};
for my $n (1 .. 9) {
    my $poll = poll('a', $owner, 'wait=20');
    wait_for(5, sub { waiters($org) == 1 }) or diag 'not parked';
    publish('a', event($org, eventId => "wake$n"));
    answer($poll);
}
my $wake = metrics('a', $admin)->{totals}{wakeMicros};
is $wake->{count}, $before->{count} + 9, 'nine wakes are counted';
is sum(values %{ buckets($wake) }), $wake->{count}, 'each in a bucket';
my ($old, $new) = (buckets($before), buckets($wake));
is sum(map { $new->{$_} - ($old->{$_} // 0) } keys %$new), 9, 'which two readings tell apart';
my @order = @$wake{qw(p50 p95 p99 max)};
is_deeply [sort { $a <=> $b } @order], \@order, "quantiles ascend (@order)";
cmp_ok $order[0], '>', 10, 'they are microseconds';
cmp_ok $order[0], '<', 5_000_000, 'of a wake';
my @polls = map { poll('a', $owner, 'wait=20') } 1 .. 3;
ok wait_for(5, sub { my $now = metrics('a', $admin); $now->{waiters} == 3 && $now->{totals}{parked} == 3 }), 'parked polls are seen as waiters';
my ($way, $other) = ($ENV{TEST_MPM} // 'event') eq 'event' ? qw(waitio condvar) : qw(condvar waitio);
my $held = metrics('a', $admin)->{totals}{children};
is sum(map { $_->{$way} } @$held), 3, "of the children, parked by $way";
is sum(map { $_->{$other} } @$held), 0, "and none by $other";
is scalar(grep { kill(0, $_->{pid}) || $!{EPERM} } @$held), scalar @$held, 'whose processes live';
publish('a', event($org, eventId => 'end'));
is scalar(grep { answer($_)->{status} == 200 } @polls), 3, 'they are answered';
ok wait_for(5, sub { my $now = metrics('a', $admin); $now->{waiters} == 0 && $now->{totals}{parked} == 0 }), 'and seen no more';

# a server that has woken nobody yet has no quantiles, and one that can park in two ways tells them apart
my $httpd = My::Server->new('metrics', realtime => 1, lines => ($ENV{TEST_MPM} // '') eq 'prefork' ? '' : "Protocols h2c http/1.1\n");
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;
is_deeply metrics('a', $admin)->{totals}{wakeMicros}, { count => 0, p50 => undef, p95 => undef, p99 => undef, max => undef, buckets => [] },
    'nobody was woken yet: null, not 0';
SKIP: {
    skip 'prefork has no HTTP/2', 1 if ($ENV{TEST_MPM} // '') eq 'prefork';
    my $one = poll('a', $owner, 'wait=20');
    open my $two, '-|', 'curl', '-s', '--http2-prior-knowledge', '-m', 30, '-H', "Authorization: $owner",
        "http://$Rt::address/rt/a/subscribe?wait=20" or die "curl: $!";
    ok wait_for(10, sub {
        my $children = metrics('a', $admin)->{totals}{children};
        return sum(map { $_->{condvar} } @$children) == ($way eq 'condvar' ? 2 : 1) && sum(map { $_->{waitio} } @$children) == ($way eq 'waitio');
    }), 'a poll over HTTP/2 is parked in a thread';
    publish('a', event($org));
    answer($one);
    do { local $/; <$two> };
}
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
