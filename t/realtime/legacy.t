# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The endpoint that long polls took the place of is gone, unless RealtimeLegacy keeps it (P§7).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Rt qw(caller_of event json_of publish request subscribe);
use Test::More;

my $org = 5951;
my $owner = caller_of(org => $org);

for my $method (qw(GET POST DELETE)) {
    my $res = request($method, '/rt/gone/events?wait=1', $method eq 'POST' ? '{}' : undef, Authorization => $owner);
    is $res->{status}, 410, "$method is 410";
    like $res->{head}, qr/^Content-Type: application\/problem\+json/m, 'said as a problem';
    is json_of($res)->{code}, 'legacy_gone', 'with its code';
    like $res->{head}, qr/^Cache-Control: no-store\r$/m, 'which no cache keeps';
}
is request('GET', '/rt/gone/events')->{status}, 401, 'who may not come there is told that first';

my $start = subscribe('a', $owner, 'wait=0')->{cursor};
my $res = request('GET', "/rt/legacy/events?wait=25&cursor=$start", undef, Authorization => $owner);
is $res->{status}, 200, 'RealtimeLegacy On: it is a poll';
cmp_ok $res->{took}, '<', 10, 'that does not wait';
is_deeply json_of($res)->{events}, [], 'when there is nothing';
publish('a', event($org, eventId => 'old'));
my $got = json_of(request('GET', "/rt/legacy/events?cursor=$start", undef, Authorization => $owner));
is join(' ', map { $_->{eventId} } @{ $got->{events} }), 'old', 'and has what there is';
is_deeply subscribe('a', $owner, "wait=0&cursor=$got->{cursor}")->{events}, [], 'with a cursor that a long poll goes on with';
is request('GET', '/rt/legacy/events?wait=26', undef, Authorization => $owner)->{status}, 400, 'its parameters are checked like a poll\'s';
is request('POST', '/rt/legacy/events', '{}', Authorization => $owner)->{status}, 405, 'it takes GET alone';
is request('GET', '/rt/legacy/events')->{status}, 401, 'and verified callers alone';
done_testing;
