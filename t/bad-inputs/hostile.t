# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The database as attacker (B42): it says things that the schema rules out. What it says is checked
# before it is passed on: such an answer is a problem, the log gets a line, and the next request is
# served. A schema before ours in the search path plays the attacker.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org quick sql wait_for);
use My::Finance qw(expense);
use My::Log qw(expect_error);
use My::Postgres;
use My::Server;
use Rt qw(answer caller_of json_of request subscribe);
use Test::More;

use constant { ORG => 9301, PROPERTY => 93011, LOG_MAX => 8192 };
expect_error('OG1603: ', 'OG1605: ', 'OG1610: ', 'OG2200: ', 'OG2205: ');

my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;      # My::DB's
make_org(ORG);
my $httpd = My::Server->new('hostile', realtime => 1, dsn => $pg->host, lines => "FinanceEventDomain rt_a\n");
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

my $coder = JSON::PP->new->canonical->utf8;
my %owner = (Authorization => caller_of(org => ORG, user => PROPERTY));
my $keys = 0;

sub list { return request('GET', '/v1/finance/expenses?limit=2', undef, %owner) }
sub get  { return request('GET', "/v1/finance/expenses/$_[0]", undef, %owner) }
sub post {
    my ($key, %change) = @_;
    return request('POST', '/v1/finance/expenses', $coder->encode(expense(PROPERTY, %change)), %owner,
        'Content-Type' => 'application/json', 'Idempotency-Key' => $key // 'hostile-' . ++$keys);
}

my $row = json_of(post('first', description => 'the first'))->{id};
my @children = sort $httpd->children;

# All sessions of requests begin anew, with these settings and with this in front of our schema.
sub play {
    my ($settings, @sql) = @_;
    quick(join ";\n", 'DROP SCHEMA IF EXISTS evil CASCADE', 'CREATE SCHEMA evil', 'GRANT USAGE ON SCHEMA evil TO PUBLIC',
        'ALTER ROLE orgscale_app RESET ALL', (map { "ALTER ROLE orgscale_app SET $_" } @$settings), @sql,
        'GRANT SELECT ON ALL TABLES IN SCHEMA evil TO PUBLIC',
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'orgscale_app'");
    my $left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orgscale_app'";
    wait_for(20, sub { !quick($left) }) or die 'sessions that do not end';
    return;
}
my @evil = ('search_path = evil, pg_catalog, public');

# An answer in a word, which is whole JSON of the type that it says.
sub verdict {
    my $res = shift;
    my ($type) = $res->{head} =~ /^Content-Type: (\S+)\r$/mi;
    my $body = eval { json_of($res) } or return "$res->{status} without JSON";
    return $type eq 'application/problem+json' ? "$res->{status} $body->{code}" : $res->{status};
}

# One case: each answer is as expected, the log stays small, and all is as before once it is over.
sub holds {
    my ($name, $expected, @res) = @_;
    is_deeply [map { verdict($_) } @res], $expected, "$name: @$expected";
    unlike $_->{head}, qr/^X-Evil/mi, "$name: no header of the attacker's" for @res;
    return @res;
}

sub over {
    my ($name, $mark) = @_;
    my $said = $httpd->errors($mark);
    cmp_ok length $said, '<=', LOG_MAX, "$name: the log has few words on it";
    unlike $said, qr/[^\x20-\x7e\n]/, "$name: of plain text";
    play([]);
    is_deeply [map { $_->{status} } list(), get($row), post()], [200, 200, 201], "$name: the next requests are served";
    is "@{[sort $httpd->children]}", "@children", "$name: no child died";
    return;
}

# All columns of a row as they are, but for these.
sub expenses_with {
    my %change = @_;
    my @columns = map { $_->[0] } sql(q{SELECT column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'transactions' ORDER BY ordinal_position});
    return 'CREATE VIEW evil.transactions AS SELECT '
        . join(', ', map { exists $change{$_} ? "$change{$_} AS $_" : $_ } @columns)
        . ' FROM public.transactions';
}

# What a row must not be: column, expression
my $broken = '500 internal_error';
my @values = (
    ['an amount that is NULL',        amount_cents => 'NULL::bigint'],
    ['an amount that is more JSON',   amount_cents => q{'1,"admin":true'::text}],
    ['an amount that is a text',      amount_cents => q{'"1"'::text}],
    ['an amount that is empty',       amount_cents => q{''::text}],
    ['an amount of 400 digits',       amount_cents => "repeat('9', 400)::numeric"],
    ['an amount of 1 MiB',            amount_cents => "repeat('9', 1048576)"],
    ['an amount of 2^63',             amount_cents => '9223372036854775808::numeric'],
    ['an amount of 2^53',             amount_cents => '9007199254740992::bigint'],
    ['a fraction',                    amount_cents => '1.5::numeric'],
    ['no number',                     amount_cents => q{'NaN'::numeric}],
    ['an infinite amount',            amount_cents => q{'Infinity'::float8}],
    ['a negative id',                 id => '-id'],
    ['no id',                         id => 'NULL::bigint'],
    ['a version of line ends',        version => q{E'1\r\nX-Evil: 1'}],
    ['an endless time',               occurred_at => q{'infinity'::timestamptz}],
    ['a time before the year 1',      created_at => q{'4713-01-01 00:00:00Z BC'::timestamptz}],
    ['a time behind the year 9999',   created_at => q{'294276-01-01 00:00:00Z'::timestamptz}],
    ['no time',                       updated_at => 'NULL::timestamptz'],
    ['a day in words',                business_date => q{'yesterday, all my troubles'::text}],
    ['a day behind the year 9999',    business_date => q{'5874897-12-31'::date}],
    ['an endless day',                business_date => q{'infinity'::date}],
    ['no description',                description => 'NULL::text'],
    ['a receipt that is an object',   receipt_document_id => q{'{}'::text}],
);
for my $case (@values) {
    my ($name, $column, $value) = @$case;
    my $mark = $httpd->mark;
    play(\@evil, expenses_with($column => $value));
    my @asked = (list(), $column eq 'id' ? () : get($row));
    my @res = holds($name, [($broken) x @asked], @asked);
    unlike $_->{body}, qr/admin|9999|Evil|yesterday/, "$name: and nothing of it" for @res;
    over($name, $mark);
}

# What a text may be: passed on as what it is, within JSON
my @texts = (
    ['a text of 1 MiB',       "CASE id WHEN 1 THEN repeat('x', 1048576) ELSE '' END", 'x' x 1_048_576],
    ['a text of line ends',   q(E'a\r\nX-Evil: 1\r\n\r\n"}]'), qq(a\r\nX-Evil: 1\r\n\r\n"}])],
    ['a text of controls',    q{E'\x01\x1b[31m\x7f\b'}, "\x01\e[31m\x7f\b"],
    ['a text of script',      q{'</script><!--'}, '</script><!--'],
);
for my $case (@texts) {
    my ($name, $value, $text) = @$case;
    my $mark = $httpd->mark;
    play(\@evil, expenses_with(description => "$value\::text"));
    my @res = holds($name, [200, 200], list(), get($row));
    is json_of($res[1])->{description}, $text, "$name: arrives as it is";
    over($name, $mark);
}

# Notices, and errors with and without manners: $1 is what is raised
my $noisy = 'CREATE FUNCTION evil.noise() RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN RAISE %s; RETURN 1; END $f$';
my $long = q{repeat(E'notice\r\n\x1b[31m', 65536)};
my @raised = (
    ['a notice of 1 MiB',       "NOTICE USING MESSAGE = $long", 200],
    ['a warning of 1 MiB',      "WARNING USING MESSAGE = $long, DETAIL = $long, HINT = $long", 200],
    ['an error of 1 MiB',       "EXCEPTION USING MESSAGE = $long, DETAIL = $long, ERRCODE = 'XX000'", $broken],
    ['an unknown error',        q{EXCEPTION USING MESSAGE = '', ERRCODE = 'ZZZZZ'}, $broken],
    ['a syntax error',          q{EXCEPTION USING MESSAGE = '%n%s%n', ERRCODE = '42601'}, $broken],
    ['a conflict in a read',    q{EXCEPTION USING MESSAGE = 'x', ERRCODE = '23505', CONSTRAINT = 'y'}, $broken],
    ['a deadlock',              q{EXCEPTION USING MESSAGE = 'x', ERRCODE = '40P01'}, '503 database_busy'],
    ['a cancelled statement',   q{EXCEPTION USING MESSAGE = 'x', ERRCODE = '57014'}, '504 database_timeout'],
    ['too many connections',    q{EXCEPTION USING MESSAGE = 'x', ERRCODE = '53300'}, '503 upstream_unavailable'],
    ['a connection failure',    q{EXCEPTION USING MESSAGE = 'x', ERRCODE = '08006'}, '503 upstream_unavailable'],
    ['a shutdown',              q{EXCEPTION USING MESSAGE = 'x', ERRCODE = '57P01'}, '503 upstream_unavailable'],
);
for my $case (@raised) {
    my ($name, $what, $expected) = @$case;
    my $mark = $httpd->mark;
    play(\@evil, sprintf($noisy, $what), expenses_with(version => 'evil.noise()'));
    holds($name, [$expected], list());
    over($name, $mark);
}

# Results that their statement can't have
my @functions = (
    ['a lock without a result',  'pg_try_advisory_xact_lock(bigint) RETURNS SETOF boolean', 'SELECT true WHERE false'],
    ['a lock that is NULL',      'pg_try_advisory_xact_lock(bigint) RETURNS boolean', 'SELECT NULL::boolean'],
    ['a lock that is a text',    'pg_try_advisory_xact_lock(bigint) RETURNS text', q{SELECT repeat('t', 1000)}],
    ['an id without a result',   'nextval(regclass) RETURNS SETOF bigint', 'SELECT 1::bigint WHERE false'],
    ['an id that is NULL',       'nextval(regclass) RETURNS bigint', 'SELECT NULL::bigint'],
    ['an id of 2^63 - 1',        'nextval(regclass) RETURNS bigint', 'SELECT 9223372036854775807'],
    ['an id below 0',            'nextval(regclass) RETURNS bigint', 'SELECT -1::bigint'],
    ['an id of words',           'nextval(regclass) RETURNS text', q{SELECT E'1\r\nX-Evil: 1'}],
);
my %other = ('a lock that is a text' => '409 idempotency_in_progress', 'an id without a result' => '404 not_found');
for my $case (@functions) {
    my ($name, $head, $body) = @$case;
    my ($mark, $before) = ($httpd->mark, quick('SELECT count(*) FROM transactions'));
    play(\@evil, "CREATE FUNCTION evil.$head LANGUAGE sql AS \$f\$ $body \$f\$");
    holds($name, [$other{$name} // $broken], post());
    is quick('SELECT count(*) FROM transactions'), $before, "$name: nothing was booked";
    over($name, $mark);
}

# Properties whose number is no number
for my $count ('NULL', q{'one'}, q{'-1'}) {
    my $mark = $httpd->mark;
    play(\@evil, "CREATE FUNCTION evil.step(text) RETURNS text LANGUAGE sql AS \$f\$ SELECT $count\::text \$f\$",
        "CREATE AGGREGATE evil.count(*) (SFUNC = evil.step, STYPE = text)");
    holds("$count properties", ['404 not_found'],
        request('GET', '/v1/finance/expenses?propertyId=' . PROPERTY, undef, %owner));
    over("$count properties", $mark);
}

# A stored answer that is none of ours
my @stored = (
    ['a status of 99999',           status => 99_999], ['a status of 100', status => 100], ['a status of 204', status => 204],
    ['a status of 302',             status => 302],    ['a status of -1', status => -1],   ['a status of 503', status => 503],
    ['a type of markup',            content_type => q{'text/html'}],
    ['a type with a header in it',  content_type => q{E'application/json\r\nX-Evil: 1'}],
    ['a location with a header',    location => q{E'/v1\r\nX-Evil: 1\r\n\r\n<html>'}],
    ['a location elsewhere',        location => q{'//evil.test/'}], ['a location by scheme', location => q{'javascript:1'}],
    ['a location of 1 MiB',         location => q{'/v1/finance/expenses/' || repeat('1', 1048576)}],
    ['no body',                     body => q{''}], ['a body that is no JSON', body => q{'<html>'}],
);
for my $case (@stored) {
    my ($name, $column, $value) = @$case;
    my ($mark, $key) = ($httpd->mark, 'stored-' . ++$keys);
    post($key);
    quick("UPDATE idempotency_keys SET $column = $value WHERE key = '$key'");
    my ($res) = holds($name, [$broken], post($key));
    unlike $res->{head}, qr/^Location|evil|Idempotent-Replayed/mi, "$name: and nothing of it";
    over($name, $mark);
}
my $key = 'stored-' . ++$keys;
post($key);
sql("UPDATE idempotency_keys SET fingerprint = sha256('') WHERE key = '$key'");
holds('another fingerprint', ['409 idempotency_key_reused'], post($key));

# Rows that vanish when they are written
my $mark = $httpd->mark;
sql(q{CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER vanish BEFORE INSERT ON event_outbox FOR EACH ROW EXECUTE FUNCTION vanish()});
holds('an event that vanishes', [201], post());
sql('DROP TRIGGER vanish ON event_outbox; DROP FUNCTION vanish()');
over('an event that vanishes', $mark);

# Settings that change how PostgreSQL writes things down
$mark = $httpd->mark;
play([q{DateStyle = 'German, DMY'}, q{bytea_output = 'escape'}, q{IntervalStyle = 'sql_standard'}, q{TimeZone = 'Pacific/Apia'},
      q{extra_float_digits = -15}, q{client_min_messages = debug5}, q{lc_messages = 'C'}]);
my @same = holds('other settings', [200, 200, 201, 201], list(), get($row), post('settings'), post('settings'));
like json_of($_)->{businessDate}, qr/^\d{4}-\d\d-\d\d$/, 'other settings: days are written as ever' for @same[1, 2];
is $same[2]{body}, $same[3]{body}, 'other settings: a stored answer is found and replayed';
over('other settings', $mark);

# Events left in the outbox that no request wrote: what can be an event is published, the rest is not
my $other = caller_of(org => ORG, user => PROPERTY + 1, role => 'manager', properties => [PROPERTY]);
my $cursor = subscribe('a', $other, 'wait=0')->{cursor};
my @left = (['EVIL1', q{'not JSON'}], ['EVIL2', q{'{"a":1},{"b":2}'}], ['EVIL3', q{''}], ['EVIL4', q{repeat('[', 60000)}],
    ['EVIL5', q{'"' || repeat('x', 1048576) || '"'}], ['EVIL6', q{E'{"a":"\x01"}'}],
    ['TIME1', q{'1'}, q{'-infinity'}], ['TIME2', q{'1'}, q{'infinity'}], ['TIME3', q{'1'}, q{'4713-01-01 00:00:00Z BC'}],
    ['GOOD1', q{'{"a":1}'}]);
my $now = time;
for my $event (@left) {
    my ($id, $data, $at) = @$event;
    $at //= q{now() - interval '1 minute'};
    quick("INSERT INTO event_outbox (org_id, property_id, domain, type, event_id, data, created_at)
         VALUES (@{[ORG]}, @{[PROPERTY]}, 'rt_a', 'expense.created', '$id', $data, $at)");
}
sql(q{INSERT INTO event_outbox (org_id, property_id, domain, type, event_id, data, created_at)
      VALUES (-5, 1, 'rt_a', 'x', 'EVIL7', '1', now() - interval '1 minute'), (9301, -1, 'rt_a', 'x', 'EVIL8', '1', now() - interval '1 minute'),
             (9301, 93011, E'rt_a\nx', 'x', 'EVIL9', '1', now() - interval '1 minute'), (9301, 93011, 'rt_a', E'x\r\ny', E'EVIL\r\n10', '1', now() - interval '1 minute')});
my (@ids, @times);
wait_for(20, sub {
    my $got = subscribe('a', $other, "cursor=$cursor&wait=1");
    $cursor = $got->{cursor};
    push @ids, map { $_->{eventId} } @{ $got->{events} };
    push @times, map { $_->{ts} / 1000 } grep { $_->{eventId} =~ /^TIME/ } @{ $got->{events} };
    return grep { $_ eq 'GOOD1' } @ids;
});
is_deeply [grep { !/^[0-9A-HJKMNP-TV-Z]{26}$/ } @ids], [qw(TIME1 TIME2 TIME3 GOOD1)],
    'of what is left in the outbox only an event is published';
is scalar(grep { $_ >= $now - 1 && $_ <= time + 1 } @times), 3, 'one of a time that none can have is of now';
ok wait_for(20, sub { !quick("SELECT count(*) FROM event_outbox WHERE published_at IS NULL") }), 'and all is marked: none is tried for ever';
is "@{[sort $httpd->children]}", "@children", 'no child died of it';

my ($status) = $httpd->stop;
is $status, 0, 'httpd stops cleanly';
is_deeply [grep { /:(?:error|crit|alert|emerg)\]|exit signal/ && !/OG1603: |OG1605: |OG1610: |OG2200: |OG2205: / } split /\n/, $httpd->errors],
    [], 'its log has no other error';
done_testing;
