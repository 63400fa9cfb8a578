# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# One database session serves all organisations in turn (B15). However a transaction of one of them
# ends, the next organisation on the session sees its own rows and no others.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org quick sql);
use My::Finance qw(expense);
use My::Log qw(expect_error);
use My::Postgres;
use My::Server;
use Rt qw(answer ask caller_of json_of request wait_for);
use Test::More;

use constant { A => 9331, B => 9332, ROUNDS => 5 };
expect_error('OG1603: ', 'OG2200: ', 'OG2205: ');

my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;      # My::DB's
make_org($_) for A, B;

# What a transaction runs into is what its expense is called
sql(<<'SQL');
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    IF current_setting('app.org_id') <> NEW.org_id::text THEN RAISE 'another organisation is set'; END IF;
    CASE NEW.category
    WHEN 'check' THEN NEW.amount_cents = 0;
    WHEN 'missing' THEN NEW.created_by = NULL;
    WHEN 'foreign' THEN NEW.property_id = 1;
    WHEN 'wall' THEN NEW.org_id = 9332;
    WHEN 'twice' THEN RAISE unique_violation;
    WHEN 'deadlock' THEN RAISE deadlock_detected;
    WHEN 'own' THEN RAISE EXCEPTION 'of its own';
    WHEN 'slow' THEN PERFORM pg_sleep(10);
    WHEN 'ended' THEN PERFORM pg_terminate_backend(pg_backend_pid());
    WHEN 'setting' THEN
        PERFORM set_config('app.org_id', NEW.org_id::text, false), set_config('app.user_id', '1', false);
        RAISE EXCEPTION 'after a setting of the session';
    WHEN 'kept' THEN
        PERFORM set_config('app.org_id', NEW.org_id::text, false), set_config('app.user_id', '1', false);
    ELSE
    END CASE;
    RETURN NEW;
END $f$;
CREATE TRIGGER stumble BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION stumble();
SQL

# One child with one session (prefork: a session a child)
my $httpd = My::Server->new('sessions', realtime => 1, dsn => $pg->host,
    lines => "FinanceEventDomain rt_a\nFinancePoolMax 1\nFinanceDeadline 1s\n", mpm => <<'CONF');
StartServers       1
MaxRequestWorkers  32
<IfModule !mpm_prefork_module>
ServerLimit        1
ThreadsPerChild    32
MinSpareThreads    1
MaxSpareThreads    32
</IfModule>
CONF
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

my $coder = JSON::PP->new->canonical->utf8;
my $keys = 0;
sub who { my $org = shift; return (Authorization => caller_of(org => $org, user => $org * 10 + 1)) }
sub ask_list { return ask('GET', '/v1/finance/expenses', undef, who(shift)) }
sub ask_post {
    my ($org, $category) = @_;
    return ask('POST', '/v1/finance/expenses', $coder->encode(expense($org * 10 + 1, category => $category,
        description => "canary-$org")), who($org), 'Content-Type' => 'application/json',
        'Idempotency-Key' => 'session-' . ++$keys);
}

# What is not an organisation's own in an answer of its.
my %other = (A, B, B, A);
my @seen;
my %rows = (A, 0, B, 0);
sub own {
    my ($org, $what, $res) = @_;
    push @seen, "$what: no answer" unless $res;
    push @seen, "$what: a row of $other{$org}" if $res && $res->{body} =~ /canary-$other{$org}|"propertyId":$other{$org}/;
    return $res;
}
sub check_list {
    my ($org, $what, $res) = @_;
    own($org, $what, $res);
    my $rows = $res->{status} == 200 ? @{ json_of($res)->{data} } : -1;
    push @seen, "$what: status $res->{status}, $rows rows, not $rows{$org}" if $rows != $rows{$org};
    return;
}

my $session = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE usename = 'orgscale_app'";
my $open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orgscale_app' AND state <> 'idle'";

# how it fails, what the client is told, whether the session stays
my @ways = (['check', 500, 1], ['missing', 500, 1], ['foreign', 500, 1], ['wall', 500, 1], ['twice', 500, 1], ['deadlock', 503, 1],
    ['own', 500, 1], ['setting', 500, 1], ['slow', 504, 1], ['ended', 503, 0]);
for my $way (@ways) {
    my ($name, $status, $stays) = @$way;
    my $same = 0;
    for my $round (1 .. ($name eq 'slow' ? 2 : ROUNDS)) {
        check_list(B, "$name $round: before", answer(ask_list(B)));
        my $before = quick($session);
        my $res = own(A, "$name $round", answer(ask_post(A, $name)));
        push @seen, "$name $round: status $res->{status}, not $status" if $res->{status} != $status;
        check_list(B, "$name $round: list", answer(ask_list(B)));
        my $made = own(B, "$name $round: write", answer(ask_post(B, 'food')));
        push @seen, "$name $round: write: status $made->{status}" if $made->{status} != 201;
        $rows{+B}++;
        check_list(A, "$name $round: after", answer(ask_list(A)));
        $same += quick($session) eq $before;
    }
    is_deeply [splice @seen], [], "$name: whoever comes next sees its own rows";
    ok $stays ? $same : !$same, "$name: the session is " . ($stays ? 'used again' : 'another one');
}

# a client that leaves in the middle
for my $round (1 .. ROUNDS) {
    my $socket = ask_post(A, 'food');
    close $socket;
    $rows{+A}++;
    wait_for(20, sub { quick('SELECT count(*) FROM transactions WHERE org_id = ' . A) == $rows{+A} });
    check_list(B, "left $round", answer(ask_list(B)));
    my $half = ask('POST', '/v1/finance/expenses', '{"half":', who(A), 'Content-Type' => 'application/json',
        'Idempotency-Key' => "half-$round");
    close $half;
    check_list(B, "half $round", answer(ask_list(B)));
}
is_deeply [splice @seen], [], 'a client that leaves: whoever comes next sees its own rows';

# at once, on the one session: as many as may wait for it
my @pairs = (['check', 'own'], ['setting', 'twice'], ['own', 'setting'], ['twice', 'check'], ['wall', 'missing']);
for my $round (1 .. 3 * @pairs) {
    my @asked = map { ([A, $_, ask_post(A, $_)], [B, 'list', ask_list(B)]) } @{ $pairs[$round % @pairs] };
    for my $one (@asked) {
        my ($org, $what, $socket) = @$one;
        my $res = own($org, "at once $round: $what", answer($socket));
        push @seen, "at once $round: $what: status $res->{status}" if $res->{status} != ($org == A ? 500 : 200);
    }
}
is_deeply [splice @seen], [], 'at once: each sees its own rows';

# A function that leaves its settings behind on purpose: each transaction says anew for whom it is
$rows{+A}++;
is answer(ask_post(A, 'kept'))->{status}, 201, 'settings of the session that a commit keeps';
check_list(B, 'kept', answer(ask_list(B)));
check_list(A, 'kept', answer(ask_list(A)));
is_deeply [splice @seen], [], 'are not those of the next transaction';

ok wait_for(20, sub { !quick($open) }), 'no session is left in a transaction';
is quick("SELECT count(*) FROM transactions WHERE created_by / 10 <> org_id OR description <> 'canary-' || org_id"), 0,
    'no row went to another organisation';
is_deeply [grep { !/ OG(?:1603|2200|2205): / } grep { /:(?:error|crit|alert|emerg)\]|exit signal/ } split /\n/, $httpd->errors], [],
    'the log has no other error';
done_testing;
