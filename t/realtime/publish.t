# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What is published is what polls get; what is refused is published nowhere, not even in part.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Rt qw(answer caller_of event ids json_of poll publish request subscribe);
use Test::More;

my $org = 5401;
my $owner = caller_of(org => $org);
my $max = 65_536;

sub at { return subscribe('a', $owner, 'wait=0')->{cursor} }
sub behind { return subscribe('a', $owner, 'wait=0&cursor=' . shift) }

my $start = at();
my $res = publish('a', event($org, eventId => 'one'));
is $res->{status}, 202, 'an event is taken';
like $res->{head}, qr/^Cache-Control: no-store\r$/m, 'and the answer not kept';
my $receipt = json_of($res);
is_deeply [sort keys %$receipt], [qw(cursor duplicate)], 'the receipt has a cursor';
ok !$receipt->{duplicate}, 'and says that it was new';
is ids(behind($start)), 'one', 'it is there';
is ids(behind($receipt->{cursor})), '', "the receipt's cursor is just behind it";
is_deeply json_of(publish('a', event($org, eventId => 'one', data => { n => 2 }))),
    { cursor => $receipt->{cursor}, duplicate => JSON::PP::true }, 'a known eventId is a duplicate';
is_deeply [map { $_->{data} } @{ behind($start)->{events} }], [{ n => 1 }], 'and the first stays';
is ids(subscribe('b', $owner, 'wait=0&cursor=earliest')), '', 'a domain has its own events';
ok !json_of(publish('b', event($org, eventId => 'one')))->{duplicate}, 'and its own ids';
ok !json_of(publish('a', event($org + 1, eventId => 'one')))->{duplicate}, 'so has an organisation';

$start = at();
my $batch = json_of(publish('a', [event($org, eventId => 'b1'), event($org, eventId => 'b2'), event($org, eventId => 'b1')]));
is_deeply [map { $_->{duplicate} ? 1 : 0 } @$batch], [0, 0, 1], 'an array has a receipt an event';
is ids(behind($start)), 'b1 b2', 'and is published in order';
is ids(behind($batch->[0]{cursor})), 'b2', 'each receipt stands behind its own';
$start = at();
is publish('a', [map { event($org, eventId => "h$_") } 1 .. 100])->{status}, 202, 'a batch has up to 100 events';
$start = at();
publish('a', event($org)) for 1 .. 2;
my ($first, $second) = map { $_->{eventId} } @{ behind($start)->{events} };
like $first, qr/^[0-9A-HJKMNP-TV-Z]{26}$/, 'an event without eventId gets a ULID';
isnt $first, $second, 'of its own';

# data, byte for byte
for my $data ('null', 'true', 'false', '0', '-1', '9007199254740993', '-9223372036854775808', '0.1', '12.5', '1.0',
    '0.30000000000000004', '1e+300', '4.94065645841247e-324', '-0.0', '""', '"a/b"', '"\u0001\n\t\"\\\\"', '"grün 漢 😀"', '[]', '{}',
    '[1,[2,[3,{}]]]', '{"z":1,"a":{"m":[true,null]},"":0}', '{"with \"quotes\"":"x"}') {
    my $at = at();
    is publish('a', qq({"orgId":$org,"type":"data.kept","data":$data}))->{status}, 202, "data $data is taken";
    my $body = answer(poll('a', $owner, "wait=0&cursor=$at"))->{body};
    my ($got) = $body =~ /"coalesceKey":null,"data":(.*)\}\],"more"/s;
    is $got, $data, 'and comes back as it was';
}
$start = at();
publish('a', qq( { "type" : "data.kept" , "orgId" : $org , "coalesceKey" : "expense:1" , "propertyId" : 9007199254740991 ,\n "data" : [ 1 , { "a" : 2 } ] } ));
my $body = answer(poll('a', $owner, "wait=0&cursor=$start"))->{body};
like $body, qr/"type":"data\.kept","propertyId":9007199254740991,"ts":\d+,"coalesceKey":"expense:1","data":\[1,\{"a":2\}\]\}/,
    'white space goes, everything else stays';

# what is refused
my $good = event($org);
my @refused = (
    ['no JSON', '{', 400], ['nothing', '', 400], ['a text', '"x"', 400], ['a number', '1', 400], ['null', 'null', 400],
    ['an empty batch', [], 400], ['101 events', [map { $good } 1 .. 101], 400],
    ['a batch of batches', [[$good]], 400], ['a batch with one bad event', [$good, event($org, type => undef)], 400],
    ['a member twice', qq({"orgId":$org,"orgId":$org,"type":"x","data":1}), 400],
    ['an unknown member', event($org, propertyID => 7), 400],
    ['no orgId', event($org, orgId => undef), 400], ['orgId as text', event($org, orgId => "$org"), 400],
    ['orgId 0', event(0), 400], ['orgId -1', event(-1), 400], ['orgId 2^53', event(9007199254740992), 400],
    ['orgId 1.5', event(1.5), 400],
    ['propertyId 0', event($org, propertyId => 0), 400], ['propertyId as text', event($org, propertyId => '7'), 400],
    ['no type', event($org, type => undef), 400], ['an empty type', event($org, type => ''), 400],
    ['a type in capitals', event($org, type => 'Expense'), 400], ['a type with a star', event($org, type => 'e.*'), 400],
    ['a type of 65', event($org, type => 'a' x 65), 400], ['type 1', event($org, type => 1), 400],
    ['an empty eventId', event($org, eventId => ''), 400], ['an eventId of 65', event($org, eventId => 'a' x 65), 400],
    ['an eventId with a space', event($org, eventId => 'a b'), 400], ['eventId 1', event($org, eventId => 1), 400],
    ['a coalesceKey of 129', event($org, coalesceKey => 'k' x 129), 400],
    ['coalesceKey {}', event($org, coalesceKey => {}), 400],
    ['no data', event($org, data => undef), 400],
    ['33 levels of data', sprintf('{"orgId":%d,"type":"x","data":%s%s}', $org, '[' x 33, ']' x 33), 400],
    ['not UTF-8', qq({"orgId":$org,"type":"x","data":"\xff"}), 400],
    ['a NUL', qq({"orgId":$org,"type":"x\\u0000","data":1}), 400],
    ['data of 64 KiB and a byte', event($org, data => 'x' x ($max - 1)), 413],
    ['a batch with one too large', [$good, event($org, data => 'x' x ($max - 1))], 413],
    ['more than a body may have', event($org, data => 'x' x 1_100_000), 413],
);
$start = at();
for my $case (@refused) {
    my ($what, $body, $status) = @$case;
    my $res = publish('a', $body);
    is $res->{status}, $status, "$what: $status";
    is json_of($res)->{code}, $status == 413 ? 'payload_too_large' : 'invalid_request', 'said as a problem';
}
is ids(behind($start)), '', 'nothing of it was published';
for my $case (['text/plain', 415], ['application/jsonx', 415], ['application/json; charset=utf-8', 202]) {
    is publish('a', $good, 'Content-Type' => $case->[0])->{status}, $case->[1], "Content-Type: $case->[0] is $case->[1]";
}
is publish('a', $good, 'Content-Encoding' => 'gzip')->{status}, 415, 'an encoded body is 415';
for my $method (qw(GET PUT DELETE)) {
    my $res = request($method, '/rt/a/publish', $method eq 'GET' ? undef : '{}', 'Content-Type' => 'application/json');
    is $res->{status}, 405, "$method is 405";
    like $res->{head}, qr/^Allow: POST\r$/m, 'with what is allowed';
}
for my $case (['data of exactly 64 KiB', data => 'x' x ($max - 2)], ['a type of 64', type => 'a' x 64],
    ['an eventId of 64', eventId => 'A_-9' x 16], ['a coalesceKey of 128', coalesceKey => 'k' x 128],
    ['orgId 2^53-1', orgId => 9007199254740991]) {
    my ($what, @change) = @$case;
    is publish('a', event($org, @change))->{status}, 202, "$what is taken";
}
done_testing;
