# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# GET /v1/finance/expenses: pages are complete and without repetition, filters filter, and nobody
# sees a property that was not granted.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use Apache::TestRequest qw(HEAD);
use JSON::PP qw(decode_json);
use My::DB qw(make_org sql value);
use My::Finance qw(bearer get get_json);
use Test::More;

my ($org, $other) = (make_org(3011), make_org(3012));
my ($owner, $manager, $staff) = map { bearer($org, $_) } 1 .. 3;
my $path = '/v1/finance/expenses';

# 60 expenses over 3 properties, 20 minutes apart, five of each time; some revenues between them
for my $o ($org, $other) {
    sql(<<"SQL");
INSERT INTO transactions (org_id, property_id, type, status, category, source, description, amount_cents, payment_mode,
                          occurred_at, business_date, created_by, decided_by, decided_at)
SELECT $o, $o * 10 + 1 + n % 3, t.type, CASE WHEN n % 4 = 0 THEN 'approved' ELSE 'pending' END,
       CASE t.type WHEN 'expense' THEN (ARRAY['food', 'fuel'])[1 + n % 2] END, CASE t.type WHEN 'revenue' THEN 'room' END,
       'Row ' || n, 100 + n, 'cash', at.at, (at.at AT TIME ZONE 'Asia/Kolkata')::date, $o * 10 + 1,
       CASE WHEN n % 4 = 0 THEN $o * 10 + 2 END, CASE WHEN n % 4 = 0 THEN now() END
FROM generate_series(0, 59) n, (VALUES ('expense'), ('revenue')) t (type),
     LATERAL (SELECT timestamptz '2025-05-01 12:00:00Z' + (n / 5) * interval '20 minutes' AS at) at
SQL
}

# pages
my (@ids, $cursor);
for my $page (1 .. 20) {
    my $got = get_json("$path?limit=7" . ($cursor ? "&cursor=$cursor" : ''), $owner);
    push @ids, map { $_->{id} } @{ $got->{data} };
    last unless defined($cursor = $got->{nextCursor});
}
my @all = map { $_->[0] }
    sql("SELECT id FROM transactions WHERE org_id = $org AND type = 'expense' ORDER BY occurred_at DESC, id DESC");
is "@ids", "@all", 'pages of 7 hold each of the 60 once, newest first, over equal times';
my $whole = get_json($path, $owner);
is scalar @{ $whole->{data} }, 60, 'one page holds all';
is $whole->{nextCursor}, undef, 'and says that it is the last';
is get_json("$path?limit=60", $owner)->{nextCursor}, undef, 'a page that is just full is the last as well';
is_deeply [grep { $_->{decidedByName} && $_->{status} ne 'approved' } @{ $whole->{data} }], [], 'who decided is shown of what was decided';

# filters
my %count = (
    'propertyId=30111' => 20, 'propertyId=30111,30112' => 40, 'status=approved' => 15, 'status=rejected' => 0,
    'category=food' => 30, 'category=food&status=approved' => 15, 'from=2025-05-01&to=2025-05-01' => 60,
    'from=2025-05-02' => 0, 'to=2025-04-30' => 0, 'category=nothing' => 0, 'propertyId=30111&limit=500' => 20);
for my $query (sort keys %count) {
    is scalar @{ get_json("$path?$query", $owner)->{data} }, $count{$query}, "$query finds $count{$query}";
}
# 20:00Z of May 2nd is May 3rd in Kolkata
sql("UPDATE transactions SET occurred_at = '2025-05-02 20:00Z', business_date = '2025-05-03' WHERE id = $all[0]");
is scalar @{ get_json("$path?from=2025-05-03&to=2025-05-03", $owner)->{data} }, 1, 'days are those of the property';

# who sees what
my %properties = map { $_->{propertyId} => 1 } @{ get_json($path, $manager)->{data} };
is join(' ', sort keys %properties), '30111 30112', 'a manager sees the granted properties';
is scalar @{ get_json($path, $staff)->{data} }, 20, 'staff theirs';
is get("$path?propertyId=30113", $manager)->code, 403, 'one that was not granted is forbidden';
is get("$path?propertyId=30111,30113", $manager)->code, 403, 'also among others';
my $foreign = get("$path?propertyId=30121", $owner);
my $absent = get("$path?propertyId=777777", $owner);
is $foreign->code, 404, "another organisation's does not exist";
is $foreign->content =~ s/"instance":"[^"]*",//r, $absent->content =~ s/"instance":"[^"]*",//r, 'just as one that does not';
is get("$path?propertyId=30121", $manager)->code, 404, 'for a manager too';
my $theirs = value("SELECT min(id) FROM transactions WHERE org_id = $other AND type = 'expense'");
is get("$path/$theirs", $owner)->code, 404, "another organisation's expense does not exist";
my $revenue = value("SELECT min(id) FROM transactions WHERE org_id = $org AND type = 'revenue'");
is get("$path/$revenue", $owner)->code, 404, 'a revenue is no expense';
my $closed = value("SELECT min(id) FROM transactions WHERE org_id = $org AND type = 'expense' AND property_id = 30113");
is get("$path/$closed", $manager)->code, 403, 'an expense of a property that was not granted is forbidden';
my $nothing = My::Token::bearer(org => $org, user => 30_112, role => 'manager', properties => []);
is scalar @{ get_json($path, $nothing)->{data} }, 0, 'who was granted nothing sees nothing';

# bad queries
my @bad = ('limit=0', 'limit=501', 'limit=x', 'limit=1e2', 'limit=-1', 'limit=007x', 'cursor=abc', 'cursor=', 'status=open', 'status=',
    'from=2025-02-30', 'from=0000-00-00', 'to=tomorrow', 'from=2025-05-01T00:00:00Z', 'propertyId=', 'propertyId=1,', 'propertyId=01',
    'propertyId=-1', 'propertyId=1%20or%201=1', 'propertyId=9007199254740992', 'category=', 'category=' . 'x' x 201,
    'sort=id', 'limit=1&limit=2', 'order=id%20desc--', 'a=%00', 'a=%zz', 'fields=id', 'propertyId=' . join(',', 1 .. 101));
for my $query (@bad) {
    my $got = get("$path?$query", $owner);
    is $got->code, 400, substr("$query is refused", 0, 70);
    is decode_json($got->content)->{code}, 'invalid_request', 'as invalid_request';
}
my @injected = (q{' OR 1=1--}, q{food'; DROP TABLE transactions;--}, q{$1}, q{\\}, "food\x{e9}");
for my $value (@injected) {
    my $got = get("$path?category=" . ($value =~ s/([^a-z])/sprintf '%%%02X', ord $1/gier), $owner);
    my $is_utf8 = $value !~ /\xe9/;
    is $got->code, $is_utf8 ? 200 : 400, 'a category is only ever a value';
    is scalar @{ decode_json($got->content)->{data} }, 0, 'that matches nothing' if $is_utf8;
}

my $head = HEAD($path, Authorization => $owner);
is $head->code, 200, 'HEAD answers';
is $head->header('Content-Length'), length get($path, $owner)->content, 'with the length of GET';
is get($path, $owner)->header('Cache-Control'), 'private, no-cache', 'a list belongs to its reader';
done_testing;
