# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# SQL in every place that a request can put text into (B51): each parameter of the list, parameters
# that there are none of, the id in the path, each member of a body, the Idempotency-Key. It is only
# ever a value: PostgreSQL is never given a statement that it can't read, and nothing of another
# organisation is seen.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org quick sql);
use My::Finance qw(bearer expense);
use My::Wire;
use Rows;
use Test::More;

my ($org, $other) = (make_org(9311), make_org(9312));
for my $each ($org, $other) {
    sql(<<"SQL");
INSERT INTO transactions (org_id, property_id, type, category, description, amount_cents, payment_mode, occurred_at, business_date, created_by)
SELECT $each, $each * 10 + 1, 'expense', 'food', 'canary-$each', 100, 'cash', now(), now()::date, $each * 10 + 1
SQL
}
my $log = "$ENV{TEST_STAGE}/t/logs/postgres.log";
my $coder = JSON::PP->new->canonical->utf8;
my $token = bearer($org, 1);

# One payload a line; \xNN is a byte.
sub payloads {
    open my $fh, '<:raw', "$FindBin::Bin/sql-payloads.txt" or die "sql-payloads.txt: $!";
    chomp(my @lines = grep { !/^# |^$/ } <$fh>);
    s/\\x([0-9a-f]{2})/chr hex $1/ge for @lines;
    return @lines;
}
my @payloads = payloads();
cmp_ok scalar @payloads, '>=', 200, @payloads . ' payloads';

# What PostgreSQL says since a mark, errors alone, each with its SQLSTATE
sub refusals {
    my $mark = shift;
    open my $fh, '<:raw', $log or die "$log: $!";
    seek $fh, $mark, 0;
    return grep { / (?:ERROR|FATAL|PANIC): / } <$fh>;
}
sub statement_errors { return grep { / 42[0-9A-Z]{3} (?:ERROR|FATAL|PANIC): / } refusals($_[0]) }

# the log shows such an error when there is one
my $mark = -s $log;
open my $stderr, '>&', \*STDERR or die $!;
open STDERR, '>', '/dev/null' or die $!;
eval { sql("SELECT 'a' 'b'") };
open STDERR, '>&', $stderr or die $!;
is scalar statement_errors($mark), 1, 'a wrong statement would be seen' or diag refusals($mark);

my $wire;
my $port = Rows::port_of('main');

# Its answer, on a connection that is used for as long as it lasts.
sub ask {
    my ($method, $target, $body, %head) = @_;
    $wire = My::Wire->new($port) if !$wire;
    $head{'Content-Length'} = length $body if defined $body;
    $wire->send("$method $target HTTP/1.1\r\nHost: localhost\r\nAuthorization: $token\r\n"
        . join('', map { "$_: $head{$_}\r\n" } sort keys %head) . "\r\n" . ($body // ''));
    my $answer = $wire->answer or die "no answer to $method $target";
    undef $wire if !$answer->{keep};
    return $answer;
}

sub escaped { return join '', map { /[A-Za-z0-9]/ ? $_ : sprintf '%%%02x', ord } split //, shift }

my $utf8 = sub { my $text = shift; return utf8::decode($text) };
my $plain = sub { my $text = shift; return $utf8->($text) && $text !~ /\0/ };
my $path = '/v1/finance/expenses';

# What a list answers to a value of a parameter: 200 with nothing in it where any text may be asked
# for, or 400.
my (@wrong, @seen);
sub check {
    my ($what, $answer, @status) = @_;
    push @wrong, "$what: $answer->{status}" unless grep { $answer->{status} == $_ } @status;
    push @seen, $what if $answer->{raw} =~ /canary-$other/;
    return $answer;
}

$mark = -s $log;
my $rows = quick('SELECT count(*) FROM transactions');
for my $payload (@payloads) {
    my $value = escaped($payload);
    my $list = check("category $payload", ask('GET', "$path?category=$value"),
        $plain->($payload) && length $payload <= 200 ? 200 : 400);
    push @wrong, "category $payload: it finds something" if $list->{status} == 200 && $list->{body} !~ /"data":\[\]/;
    for my $name (qw(propertyId from to status limit cursor)) {
        check("$name $payload", ask('GET', "$path?$name=$value"), 400);
    }
    check("behind $_->[0] $payload", ask('GET', "$path?$_->[0]=$_->[1]$value"), 400)
        for ['propertyId', $org * 10 + 1], ['from', '2025-05-01'], ['limit', 1], ['status', 'pending'];
    check("$_ $payload", ask('GET', "$path?$_=$value"), 400) for qw(sort order offset fields id);
    check("a name $payload", ask('GET', "$path?$value=1"), 400);
    check("path $payload", ask('GET', "$path/$value"), 404, 400);
}
is_deeply \@wrong, [], 'each place of a list takes it for a value, or refuses it' or diag explain \@wrong;
is_deeply [refusals($mark)], [], 'and PostgreSQL has nothing to complain about';
is quick('SELECT count(*) FROM transactions'), $rows, 'nor was anything changed';

# In bodies: a text is kept as it is; all else is no value of its member
(@wrong, $mark) = ();
$mark = -s $log;
my $n = 0;
my @texts = grep { $plain->($_) && !/[\x00-\x1f\x7f]/ } @payloads;
for my $payload (@texts) {
    my $text = $payload;
    utf8::decode($text);
    my $line = substr $text, 0, 50;
    my @head = ('Content-Type' => 'application/json', 'Idempotency-Key' => 'inject-' . ++$n);
    my $made = check("body $payload", ask('POST', $path, $coder->encode(expense($org * 10 + 1,
        category => $line, description => $text, vendor => $text, notes => $text)), @head), 201, length $text > 200 ? 422 : 201);
    if ($made->{status} == 201) {
        my $row = $coder->decode($made->{body});
        push @wrong, "body $payload: not kept" if $row->{description} ne $text || $row->{category} ne $line;
        my $got = ask('GET', "$path/$row->{id}");
        push @wrong, "body $payload: not shown as it was kept" if $got->{body} ne $made->{body};
        utf8::encode(my $bytes = $line);
        my $found = ask('GET', "$path?category=" . escaped($bytes));
        push @wrong, "category $payload: not found" if $found->{body} !~ /"id":$row->{id},/;
    }
    for my $member (qw(paymentMode currency occurredAt amountCents propertyId receiptDocumentId)) {
        $head[-1] = "inject-$member-$n";
        check("$member $payload", ask('POST', $path, $coder->encode(expense($org * 10 + 1, $member => $text)), @head), 422);
    }
    $head[-1] = "inject-name-$n";
    check("a member $payload", ask('POST', $path, $coder->encode(expense($org * 10 + 1, $text => 1)), @head), 422);
}
is_deeply \@wrong, [], 'each member of a body takes it for a text, or refuses it';

# as the key
(@wrong) = ();
for my $payload (@texts) {
    my $right = $payload =~ /^[\x21-\x7e]{1,255}$/;
    my $answer = ask('POST', $path, $coder->encode(expense($org * 10 + 1)), 'Content-Type' => 'application/json',
        'Idempotency-Key' => $payload);
    check("key $payload", $answer, $right ? (201, 409) : 400);
}
is_deeply \@wrong, [], 'a key is a key, or none';
is_deeply [refusals($mark)], [], 'and PostgreSQL has nothing to complain about';
is_deeply \@seen, [], 'nobody saw a row of another organisation';
is quick("SELECT count(*) FROM transactions WHERE org_id = $other"), 1, 'nor changed one';
is quick("SELECT count(*) FROM pg_class WHERE relname IN ('transactions', 'idempotency_keys', 'users', 'audit_log') AND relkind = 'r'"), 4,
    'all tables are there';
done_testing;
