# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Replays without the database (IdempotencyRemember): what was committed is answered again while PostgreSQL
# is stopped, over reloads and the death of children; all else the database decides.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../fault";
use Apache::Test ();
use Db qw($ORG ends_well recovers site verdict);
use JSON::PP ();
use My::DB qw(sql value wait_for);
use My::Finance qw(expense);
use My::Log qw(expect_error expect_warn);
use Rt qw(answer ask caller_of);
use Test::More;

expect_error('AH00052: child pid \d+ exit signal Killed');
expect_warn('OG1211');
my $memory = "IdempotencyRemember 8M\n";
my $rest = <<"CONF";
FinanceEventDomain rt_a
<Location /v1/finance/>
    QuotaEnable On
    QuotaPolicy write user 1000/h
</Location>
<Location /revoke>
    AuthType       TenantJWT
    TenantJWKS     file:$ENV{TEST_STAGE}/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    SetHandler     tenant-revoke
</Location>
CONF
my $site = site('recall', lines => $memory . $rest);
my ($pg, $proxy, $httpd) = @$site{qw(pg proxy httpd)};
recovers('before');

my $coder = JSON::PP->new->canonical->utf8;
my $down = '503 upstream_unavailable';
sub reload { return $httpd->configure(realtime => 1, dsn => $proxy->host, lines => join '', @_, $rest)->graceful->renewed }

# A write by a user (1 to 3), on a connection of its own.
sub post {
    my ($user, $key, $body) = @_;
    return answer(ask('POST', '/v1/finance/expenses', ref $body ? $coder->encode($body) : $body,
        Authorization => caller_of(org => $ORG, user => $ORG * 10 + $user, role => 'owner'),
        'Content-Type' => 'application/json', 'Idempotency-Key' => $key, Connection => 'close')) // { status => 0 };
}

sub is_replay { return shift->{head} =~ /^Idempotent-Replayed: true\r$/m ? 1 : 0 }

# All that two answers of one request have alike
sub lines_of {
    my $res = shift;
    return join "\n", sort grep { !/^(?:Date|X-Request-Id|(?:X-)?RateLimit.*|Idempotent-Replayed):/i } split /\r\n/, $res->{head};
}

# Each of these keys is answered again, byte for byte, by whatever child.
my %first;
sub all_again {
    my $what = shift;
    my @wrong;
    for my $key (sort keys %first) {
        my $res = post(1, $key, $first{$key}{sent});
        push @wrong, "$key: " . verdict($res) unless is_replay($res) && $res->{body} eq $first{$key}{body}
            && lines_of($res) eq lines_of($first{$key});
    }
    return is_deeply \@wrong, [], $what;
}

sub left { return shift->{head} =~ /^X-RateLimit-Remaining: (\d+)\r$/mi ? $1 : 'nothing' }

# What there is to remember: an expense, refusals that are kept
my $property = $ORG * 10 + 1;
my %sent = (made => expense($property), large => expense($property, description => 'x' x 1000, notes => 'y' x 2000),
    refused => expense($property, amountCents => 0), absent => expense(1));
for my $key (sort keys %sent) {
    $first{$key} = { %{ post(1, $key, $sent{$key}) }, sent => $sent{$key} };
}
is join(' ', map { "$_ $first{$_}{status}" } sort keys %first), 'absent 404 large 201 made 201 refused 422', 'first answers';
my $rows = value('SELECT count(*) FROM transactions');
my $was = left(post(1, 'next-1', expense($property)));
ok is_replay(post(1, 'made', $sent{made})), 'a replay';
is left(post(1, 'made', $sent{made})), 'nothing', 'says nothing of limits';
is left(post(1, 'next-2', expense($property))), $was - 1, 'and costs nothing';

$pg->stop('immediate');
is verdict(post(1, 'new', expense($property))), $down, 'PostgreSQL is stopped: a new key is refused';
all_again('what was committed is answered again, with its fields') for 1 .. 10;
is verdict(post(1, 'made', expense($property, amountCents => 1))), $down, 'another request under the key is for the database';
is verdict(post(1, 'made', $coder->encode($sent{made}) . ' ')), $down, 'one other byte makes one';
is verdict(post(2, 'made', $sent{made})), $down, "so is another user's";
is verdict(answer(ask('POST', '/v1/finance/expenses', $coder->encode($sent{made}), 'Idempotency-Key' => 'made',
    Authorization => caller_of(org => 7, user => $ORG * 10 + 1), 'Content-Type' => 'application/json'))), $down, "and another organisation's";
is verdict(post(1, 'ma de', $sent{made})), '400 idempotency_key_invalid', 'what is no key is told so';
is verdict(answer(ask('POST', '/v1/finance/expenses?a=1', $coder->encode($sent{made}), 'Idempotency-Key' => 'made',
    Authorization => caller_of(org => $ORG, user => $ORG * 10 + 1), 'Content-Type' => 'application/json'))), '400 invalid_request', 'and so is a query';

# children end, the memory stays
my @old = $httpd->children;
kill KILL => @old;
ok wait_for(20, sub { !grep { my $pid = $_; grep { $_ == $pid } @old } $httpd->children }), 'all children are killed';
all_again('their successors know the answers');
reload($memory);
all_again('so do those behind a graceful restart');
reload("IdempotencyRemember 16M\n");
like $httpd->errors, qr/OG1211: IdempotencyRemember: changing it from 8388608 to 16777216 bytes takes a stop and a start/, 'another size takes a stop';
all_again('and what is remembered is kept');
reload('');
is verdict(post(1, 'made', $sent{made})), $down, 'without the directive nothing is remembered';
my $dsn = 'host=' . $proxy->host . ' user=orgscale_app dbname=orgscale';
reload($memory, qq(FinanceDSN "$dsn application_name=other"\n));
is verdict(post(1, 'made', $sent{made})), $down, 'what another FinanceDSN committed is not an answer of this one';
reload($memory);
all_again('with the one of before it is');

# the database is there again, and decides
$pg->start;
recovers('started');
is verdict(post(1, 'made', expense($property, amountCents => 1))), '409 idempotency_key_reused', 'another request under the key';
is verdict(post(1, 'made', $coder->encode($sent{made}) . ' ')), '409 idempotency_key_reused', 'or one other byte';
my $others = post(2, 'made', $sent{made});
is "$others->{status} " . is_replay($others), '201 0', "another user's key is another key";
isnt $others->{body}, $first{made}{body}, 'with an answer of its own';
is value('SELECT count(*) FROM transactions'), $rows + 3, 'each write is done once';

# a stop forgets; what the database then says is remembered, no longer than its row counts
sub fresh_start { $httpd->stop; return $httpd->start }
fresh_start();
sql("UPDATE idempotency_keys SET created_at = now() - interval '23 hours' WHERE key = 'made'");
sql("UPDATE idempotency_keys SET created_at = now() - interval '24 hours' + interval '5 seconds' WHERE key = 'large'");
my $large = post(1, 'large', $sent{large});
ok is_replay(post(1, 'made', $sent{made})), 'after a start the database answers';
$pg->stop('immediate');
my $again = post(1, 'made', $sent{made});
is is_replay($again) && $again->{body}, $first{made}{body}, 'and its answer is remembered';
is verdict(post(1, 'refused', $sent{refused})), $down, 'one that nobody asked for is not';
SKIP: {
    skip 'this machine took more than five seconds', 1 unless is_replay($large);
    ok wait_for(60, sub { verdict(post(1, 'large', $sent{large})) eq $down }), 'a row that is past its time is no longer remembered';
}
$pg->start;
recovers('once more');
is post(1, 'large', expense($property, amountCents => 7))->{status}, 201, 'its key is free for another request';
ok is_replay(post(1, 'large', expense($property, amountCents => 7))), 'which is remembered in its turn';

# the answer is remembered, not the row
sql("DELETE FROM idempotency_keys WHERE key = 'made'");
is post(1, 'made', $sent{made})->{body}, $first{made}{body}, 'a row that was deleted is replayed still';

# a caller who may not ask gets no answer
my $revoked = answer(ask('POST', '/revoke', $coder->encode({ orgId => $ORG, userId => $ORG * 10 + 1 }),
    Authorization => caller_of(org => undef, user => 99, role => 'admin'), 'Content-Type' => 'application/json'));
is $revoked->{status}, 204, 'a user is revoked' or diag $revoked->{body};
is verdict(post(1, 'made', $sent{made})), '401 unauthenticated', 'and gets nothing of it';
ends_well($httpd);
done_testing;
