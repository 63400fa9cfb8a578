# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A poll's parameters and reply are exactly those of docs/manual/mod_realtime_lp.md.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use My::Log qw(expect_error);
use Rt qw(answer ask caller_of event json_of poll publish request status_of subscribe);
use Test::More;

expect_error('OG1503');     # /rt/open/ is served without a verified caller on purpose

my $org = 5101;
my $owner = caller_of(org => $org);
my $staff = caller_of(org => $org, user => 2, role => 'staff', properties => [7, 9]);

my $res = answer(poll('a', $owner, 'wait=0'));
is $res->{status}, 200, 'a poll of wait=0 is answered';
my $first = json_of($res);
is join(' ', sort keys %$first),
    'authExpiresIn cursor degraded drain events gap more reauth retryMs v', 'with these members';
is_deeply [@$first{qw(v events more gap retryMs reauth drain degraded)}],
    [1, [], JSON::PP::false, undef, 0, (JSON::PP::false) x 3], 'which say that there is nothing';
like $first->{cursor}, qr/^[A-Za-z0-9_-]{46}$/, 'its cursor is base64url';
cmp_ok abs($first->{authExpiresIn} - 295), '<=', 6, 'authExpiresIn counts down from the token\'s five minutes';
like $res->{head}, qr/^Cache-Control: no-store\r$/m, 'no cache keeps it';
like $res->{head}, qr/^Content-Type: application\/json\r$/m, 'it is JSON';
like $res->{head}, qr/^Server-Timing: park;dur=\d+\r$/m, 'Server-Timing says how long it was parked';
unlike $res->{head}, qr/^ETag:/mi, 'it has no ETag';

my @status = (
    # query => status for an owner
    ['wait=0&limit=1', 200], ['wait=0&limit=200', 200], ['wait=0&limit=0', 400], ['wait=0&limit=201', 400],
    ['wait=0&limit=', 400], ['wait=0&limit=1.5', 400], ['wait=-1', 400], ['wait=26', 400], ['wait=x', 400],
    ['wait=', 400], ['wait=99999999999999999999', 400],
    ['wait=0&linger=0', 200], ['wait=0&linger=5000', 200], ['wait=0&linger=5001', 400], ['wait=0&linger=-1', 400],
    ['wait=0&types=expense.*', 200], ['wait=0&types=expense.created,revenue.*', 200], ['wait=0&types=*', 200],
    ['wait=0&types=' . join(',', map { "t$_" } 1 .. 16), 200],
    ['wait=0&types=' . join(',', map { "t$_" } 1 .. 17), 400],
    ['wait=0&types=', 400], ['wait=0&types=a,', 400], ['wait=0&types=a*b', 400], ['wait=0&types=A', 400],
    ['wait=0&types=' . 'a' x 64, 200], ['wait=0&types=' . 'a' x 65, 400],
    ['wait=0&propertyId=7', 200], ['wait=0&propertyId=7,9', 200], ['wait=0&propertyId=', 400],
    ['wait=0&propertyId=0', 400], ['wait=0&propertyId=07', 400], ['wait=0&propertyId=-1', 400],
    ['wait=0&propertyId=9007199254740992', 400],
    ['wait=0&propertyId=' . join(',', 1 .. 100), 200], ['wait=0&propertyId=' . join(',', 1 .. 101), 400],
    ['wait=0&cursor=now', 200], ['wait=0&cursor=earliest', 200], ["wait=0&cursor=$first->{cursor}", 200],
    ['wait=0&cursor=', 400], ['wait=0&cursor=-1', 400], ['wait=0&cursor=18446744073709551616', 400],
    ['wait=0&cursor=' . 'A' x 129, 400], ['wait=0&cursor=' . 'A' x 46, 400],
    ['wait=0&tab=1', 400], ['wait=0&property=7', 400], ['wait=0&wait=0', 400], ['wait=0&types=%zz', 400],
    ['wait=0&types=%00', 400],
);
for my $case (@status) {
    my ($query, $status) = @$case;
    my $shown = length $query > 60 ? substr($query, 0, 60) . '…' : $query;
    my $res = answer(poll('a', $owner, $query));
    is $res->{status}, $status, "?$shown is $status";
    if ($status == 400) {
        like $res->{head}, qr/^Content-Type: application\/problem\+json/m, 'said as a problem';
        is json_of($res)->{code}, 'invalid_request', 'with its code';
    }
}

is status_of('a', $staff, 'wait=0&propertyId=7'), 200, 'a granted property may be asked for';
is status_of('a', $staff, 'wait=0&propertyId=8'), 403, 'one that was not granted is 403';
is status_of('a', $staff, 'wait=0&propertyId=7,8'), 403, 'among granted ones as well';
is status_of('a', caller_of(org => undef, role => 'admin'), 'wait=0'), 403, 'a caller of no organisation is 403';
is status_of('a', undef, 'wait=0'), 401, 'no token is 401';
is status_of('a', 'Bearer nonsense', 'wait=0'), 401, 'a bad token is 401';
is status_of('a', caller_of(org => $org, ttl => -100), 'wait=0'), 401, 'an expired token is 401';
is status_of('open', undef, 'wait=0'), 401, 'a location without AuthType TenantJWT is 401 for everybody';
for my $case (['application/json', 200], ['*/*', 200], ['application/*', 200], ['text/html, */*;q=0.1', 200],
    ['text/event-stream', 406], ['text/html', 406]) {
    is status_of('a', $owner, 'wait=0', Accept => $case->[0]), $case->[1], "Accept: $case->[0] is $case->[1]";
}
for my $method (qw(POST PUT DELETE PATCH)) {
    my $res = request($method, '/rt/a/subscribe?wait=0', '{}', Authorization => $owner, 'Content-Type' => 'application/json');
    is $res->{status}, 405, "$method is 405";
    like $res->{head}, qr/^Allow: GET\r$/m, 'with what is allowed';
}

# what is published, and in which portions it comes
my @published = map { event($org, eventId => "w$_", type => $_ % 2 ? 'expense.created' : 'revenue.created',
    propertyId => 7, data => { n => $_ }) } 1 .. 5;
is publish('a', \@published)->{status}, 202, 'five events are published';
my $page = subscribe('a', $owner, "wait=0&limit=2&cursor=$first->{cursor}");
my $event = $page->{events}[0];
is join(' ', sort keys %$event), 'coalesceKey data eventId propertyId ts type', 'an event has these members';
is_deeply [@$event{qw(eventId type propertyId coalesceKey data)}], ['w1', 'expense.created', 7, undef, { n => 1 }],
    'with what was published';
cmp_ok abs($event->{ts} / 1000 - time), '<', 10, 'and milliseconds since 1970';
my @pages;
for (my $at = $first->{cursor}; @pages < 9;) {
    my $got = subscribe('a', $owner, "wait=0&limit=2&cursor=$at");
    push @pages, [$got->{more} ? 1 : 0, map { $_->{eventId} } @{ $got->{events} }];
    $at = $got->{cursor};
    last unless $got->{more};
}
is_deeply \@pages, [[1, 'w1', 'w2'], [1, 'w3', 'w4'], [0, 'w5']], 'limit pages through them, more says that there is more';
is_deeply [map { $_->{eventId} } @{ subscribe('a', $owner, 'wait=0&cursor=earliest')->{events} }],
    [map { "w$_" } 1 .. 5], 'earliest begins with the oldest that is kept';
is_deeply subscribe('a', $owner, 'wait=0&cursor=now')->{events}, [], 'now begins behind the newest';
is_deeply subscribe('b', $owner, 'wait=0&cursor=earliest')->{events}, [], 'another domain has none of them';
for my $case (['types=revenue.*', 'w2 w4'], ['types=expense.created', 'w1 w3 w5'], ['types=expense', ''],
    ['types=nothing,rev*', 'w2 w4'], ['types=*', 'w1 w2 w3 w4 w5'], ['propertyId=9', ''], ['propertyId=7', 'w1 w2 w3 w4 w5']) {
    my $got = subscribe('a', $owner, "wait=0&cursor=$first->{cursor}&$case->[0]");
    is join(' ', map { $_->{eventId} } @{ $got->{events} }), $case->[1], "?$case->[0] gives '$case->[1]'";
    is_deeply subscribe('a', $owner, "wait=0&cursor=$got->{cursor}")->{events}, [], 'and its cursor is behind all that was scanned';
}
# a reply is bounded in bytes as well
my $start = subscribe('a', $owner, 'wait=0')->{cursor};
publish('a', event($org, eventId => "big$_", data => 'x' x 60_000)) for 1 .. 6;
my $big = subscribe('a', $owner, "wait=0&cursor=$start");
ok $big->{more}, 'six events of 60 KB are more than one reply';
is scalar @{ $big->{events} }, 4, 'of 256 KiB';
is_deeply [map { $_->{eventId} } @{ subscribe('a', $owner, "wait=0&cursor=$big->{cursor}")->{events} }], ['big5', 'big6'],
    'the next has the others';

# idle
my $idle = answer(poll('a', $owner, "wait=1&cursor=$big->{cursor}"));
my $end = subscribe('a', $owner, "wait=0&cursor=" . json_of($idle)->{cursor});
$start = $end->{cursor};
for my $case (['a', 'wait=1', 0.8], ['short', 'wait=25', 0.8]) {
    my ($domain, $query, $least) = @$case;
    my $res = answer(poll($domain, $owner, "$query&cursor=$start"));
    my $got = json_of($res);
    is_deeply $got->{events}, [], "nothing comes within $query on $domain";
    cmp_ok $res->{took}, '>', $least, 'it was parked that long';
    cmp_ok $res->{took}, '<', 3, 'and not longer (RealtimePollTimeout)';
}
my $before = subscribe('a', $owner, 'wait=0')->{cursor};
publish('a', event(5102 + $_, eventId => "o$_")) for 0 .. 40;
isnt subscribe('a', $owner, "wait=1&cursor=$before")->{cursor}, $before,
    'an idle poll gives a new cursor, behind what other organisations published meanwhile';

# linger: what follows the first event goes with it
my $parked = poll('a', $owner, "wait=10&linger=1500&cursor=$before");
Rt::wait_for(5, sub { Rt::waiters($org) }) or diag 'not parked';
publish('a', event($org, eventId => "l$_")) for 1 .. 3;
is join(' ', map { $_->{eventId} } @{ json_of(answer($parked))->{events} }), 'l1 l2 l3',
    'linger gathers what follows the first event';
done_testing;
