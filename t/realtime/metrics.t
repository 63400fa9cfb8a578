# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Metrics count what happened: an organisation sees its own, an admin the server's.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use List::Util qw(sum);
use Rt qw(answer caller_of event json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;

my $org = 5501;
my $owner = caller_of(org => $org);
my $admin = caller_of(org => $org, role => 'admin');

is_deeply metrics('a', $owner), { domain => 'rt_a', orgId => $org, buffered => 0, bufferSize => 50, waiters => 0 },
    'an organisation sees its own buffer';
is request('GET', '/rt/a/metrics')->{status}, 401, 'nobody sees it without a token';
my $res = request('POST', '/rt/a/metrics', '{}', Authorization => $owner);
is $res->{status}, 405, 'POST is 405';
like $res->{head}, qr/^Allow: GET, HEAD\r$/m, 'with what is allowed';
like request('GET', '/rt/a/metrics', undef, Authorization => $owner)->{head}, qr/^Cache-Control: no-store\r$/m, 'no cache keeps it';
ok !exists metrics('a', caller_of(org => undef, role => 'admin'))->{buffered}, 'an admin of no organisation sees no buffer';

sub flat {
    my $totals = metrics('a', $admin)->{totals};
    delete $totals->{buffersGivenBack};     # grows by itself, with what other suites left
    my %flat = map { my $name = $_; ref $totals->{$name} eq 'HASH'
        ? map { ("$name.$_" => $totals->{$name}{$_}) } keys %{ $totals->{$name} }
        : ref $totals->{$name} ? ($name => sum(@{ $totals->{$name} })) : ($name => $totals->{$name}) } keys %$totals;
    return \%flat;
}

# what happens => which totals grow by how much
my $start = subscribe('a', $owner, 'wait=0')->{cursor};
my $foreign = subscribe('a', caller_of(org => $org + 1), 'wait=0')->{cursor};
my @cases = (
    ['an event is published', sub { publish('a', event($org, eventId => 'm1')) }, { published => 1 }],
    ['a duplicate', sub { publish('a', event($org, eventId => 'm1')) }, { 'dropped.duplicate' => 1 }],
    ['an event is fetched', sub { subscribe('a', $owner, "wait=0&cursor=$start") }, { polls => 1, delivered => 1 }],
    ['a poll without events', sub { subscribe('a', $owner, 'wait=0') }, { polls => 1 }],
    ['a foreign cursor', sub { subscribe('a', $owner, "wait=0&cursor=$foreign") }, { polls => 1, 'gaps.foreign' => 1 }],
    ['a refused poll', sub { answer(poll('a', $owner, 'wait=x')) }, {}],
    ['51 events', sub { publish('a', [map { event($org, eventId => "m51-$_") } 1 .. 51]) }, { published => 51 }],
    ['an evicted cursor', sub { subscribe('a', $owner, "wait=0&cursor=$start") }, { polls => 1, 'gaps.evicted' => 1 }],
    ['a poll that is woken', sub {
        my $poll = poll('a', $owner, 'wait=20');
        wait_for(5, sub { waiters($org) == 1 }) or diag 'not parked';
        publish('a', event($org, eventId => 'wake'));
        answer($poll);
    }, { polls => 1, published => 1, delivered => 1, wakeMicrosLog2 => 1 }],
);
for my $case (@cases) {
    my ($what, $do, $grows) = @$case;
    my $before = flat();
    $do->();
    my $after = flat();
    my %grew = map { $after->{$_} == $before->{$_} ? () : ($_ => $after->{$_} - $before->{$_}) } keys %$after;
    is_deeply \%grew, $grows, "$what is counted";
}
is metrics('a', $owner)->{buffered}, 50, 'the buffer is full';
is scalar @{ metrics('a', $admin)->{totals}{wakeMicrosLog2} }, 32, 'wake latency has 32 powers of two';
my @polls = map { poll('a', $owner, 'wait=20') } 1 .. 3;
ok wait_for(5, sub { my $now = metrics('a', $admin); $now->{waiters} == 3 && $now->{totals}{parked} == 3 }), 'parked polls are seen as waiters';
publish('a', event($org, eventId => 'end'));
is scalar(grep { answer($_)->{status} == 200 } @polls), 3, 'they are answered';
ok wait_for(5, sub { my $now = metrics('a', $admin); $now->{waiters} == 0 && $now->{totals}{parked} == 0 }), 'and seen no more';
done_testing;
