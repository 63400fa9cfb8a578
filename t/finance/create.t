# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# POST /v1/finance/expenses: one transaction leaves the row, the event, the purge, the audit record
# and the stored answer; what it answers is what a list shows.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use JSON::PP qw(decode_json);
use My::DB qw(make_org sql value);
use My::Finance qw(bearer expense get get_json post_expense);
use Test::More;

my $org = make_org(3001);
my ($owner, $manager, $staff) = map { bearer($org, $_) } 1 .. 3;

my $res = post_expense($owner, 'create-1', expense(30011, vendor => "D\x{27}Souza & \"Söhne\"", notes => "a\nb",
    occurredAt => '2025-03-01T23:30:00+05:30', currency => 'EUR', invoiceNumber => 'I-1'));
is $res->code, 201, 'an expense is created';
is $res->header('Content-Type'), 'application/json', 'as JSON';
my $row = decode_json($res->content);
is $res->header('Location'), "/v1/finance/expenses/$row->{id}", 'Location names it';
is $res->header('Cache-Control'), 'no-store', 'a write is not stored by caches';
is scalar(keys %$row), 25, 'with 25 members';
is_deeply [@$row{qw(propertyId propertyName status amountCents currency occurredAt businessDate createdByName version)}],
    [30011, 'Property 1', 'pending', 50_000, 'EUR', '2025-03-01T18:00:00.000Z', '2025-03-01', 'User 1', 1],
    'its members say what was sent, times in UTC and days where the property stands';
is_deeply get_json("/v1/finance/expenses/$row->{id}", $owner), $row, 'GET of it answers the same';
is_deeply get_json('/finance/expenses?limit=1', $owner)->{data}[0], $row, 'so does the list, without /v1 too';

my ($event) = sql("SELECT type, property_id, coalesce_key, data FROM event_outbox WHERE org_id = $org");
is_deeply [@$event[0 .. 2]], ['expense.created', 30011, "expense:$row->{id}"], 'the event outbox has the event';
is_deeply decode_json($event->[3]), $row, 'with the row as its data';
is value("SELECT keys FROM purge_outbox WHERE org_id = $org"),
    "{finance:expenses:property:30011,finance:expenses:org:$org,finance:summary:property:30011,reports:daily:property:30011:date:2025-03-01,"
    . "reports:monthly:property:30011:year:2025:month:03,analytics:overview:org:$org}", 'the purge outbox has the keys';
my ($audit) = sql("SELECT user_id, action, resource_id, ip, request_id FROM audit_log WHERE org_id = $org");
is_deeply [@$audit[0 .. 3]], [30011, 'expense.created', $row->{id}, '127.0.0.1'], 'the audit log has the deed';
is $audit->[4], $res->header('X-Request-Id'), 'and the request';
is value("SELECT count(*) FROM idempotency_keys WHERE org_id = $org AND entity_id = $row->{id}"), 1, 'the answer is stored';

# what is not sent
my $bare = decode_json(post_expense($staff, 'create-2', expense(30011))->content);
is_deeply [@$bare{qw(vendor notes currency receiptDocumentId decidedBy)}], [undef, undef, 'INR', undef, undef],
    'members that were not sent are null or their default';
is $bare->{occurredAt}, $bare->{createdAt}, 'an expense without a time happened now';

# each wrong body is refused with the member's name, and leaves nothing
my $before = value("SELECT count(*) FROM transactions WHERE org_id = $org");
my @wrong = (
    [amountCents => 0], [amountCents => -1], [amountCents => 1_000_000_000_001], [amountCents => '"500"'],
    [amountCents => '500.0'], [amountCents => '1e3'], [amountCents => 'true'], [amountCents => 'null'],
    [propertyId => '"30011"'], [propertyId => 9007199254740992], [propertyId => -5],
    [category => '""'], [category => '"' . 'x' x 51 . '"'], [category => '"a\\nb"'], [category => 7],
    [description => '"' . 'x' x 1001 . '"'], [description => '"a\\u0001"'], [description => 'null'],
    [paymentMode => '"gold"'], [currency => '"inr"'], [currency => '"EURO"'], [vendor => '"' . 'x' x 201 . '"'],
    [notes => '"' . 'x' x 2001 . '"'], [occurredAt => '"yesterday"'], [occurredAt => '"1999-12-31T23:59:59Z"'],
    [occurredAt => '"2999-01-01T00:00:00Z"'], [occurredAt => '"2025-02-30T00:00:00Z"'], [receiptDocumentId => 0],
    [colour => '"red"'], [__proto__ => '{}']);
my $n = 0;
for my $case (@wrong) {
    my ($member, $value) = @$case;
    my $text = JSON::PP->new->canonical->encode(expense(30011, $member => undef));
    $text =~ s/\}$/,"$member":$value}/;
    my $got = post_expense($owner, 'wrong-' . ++$n, $text);
    is $got->code, 422, "$member $value is refused";
    my $problem = decode_json($got->content);
    is_deeply [$problem->{code}, map { $_->{member} } @{ $problem->{details}{errors} }], ['validation_failed', $member],
        'by name';
}
my @malformed = ('', '{', '[]x', '{"a":1,"a":2}', "{\"description\":\"\xff\"}", '[' x 40 . ']' x 40, "\xef\xbb\xbf{}");
for my $text (@malformed) {
    my $got = post_expense($owner, 'malformed-' . ++$n, $text);
    is $got->code, 400, 'a body that is no JSON is refused';
    is decode_json($got->content)->{code}, 'invalid_request', 'as invalid_request';
}
is post_expense($owner, 'array', '[]')->code, 422, 'JSON that is no object is refused';
is post_expense($owner, 'form', 'a=1', 'Content-Type' => 'application/x-www-form-urlencoded')->code, 415, 'so is a form';
is post_expense($owner, 'gzip', '{}', 'Content-Encoding' => 'gzip')->code, 415, 'and a coded body';
my $large = post_expense($owner, 'large', '{"description":"' . 'x' x (1 << 20) . '"}');
is $large->code, 413, 'a body of more than 1 MiB is refused';
is value("SELECT count(*) FROM transactions WHERE org_id = $org"), $before, 'none of these left a row';

# who may
is post_expense($manager, 'm-2', expense(30012))->code, 201, 'a manager books where granted';
my $other = post_expense($manager, 'm-3', expense(30013));
is $other->code, 403, 'and nowhere else';
is decode_json($other->content)->{code}, 'forbidden', 'forbidden';
my $foreign = make_org(3002);
my $absent = post_expense($owner, 'o-1', expense(30021));
my $none = post_expense($owner, 'o-2', expense(999_999));
is $absent->code, 404, "another organisation's property does not exist";
my @bodies = map { s/"instance":"[^"]*",//r } $absent->content, $none->content;
is $bodies[0], $bodies[1], 'and is answered as one that really does not';
my $ghost = My::Token::bearer(org => $org, user => 30_999, role => 'owner');
is post_expense($ghost, 'g-1', expense(30011))->code, 403, 'a user the organisation does not have books nothing';
my $admin = My::Token::bearer(user => 1, role => 'admin');
is post_expense($admin, 'a-1', expense(30011))->code, 403, 'an admin has no tenant data by itself';
is value("SELECT count(*) FROM transactions WHERE org_id = $foreign"), 0, 'nothing went to the other organisation';
done_testing;
