# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What a refusal (429) and a replay cost beside a static file of the same size, sent by the same httpd
# to the same client in the same run: server CPU a request. A write with a body is refused without
# reading it, which ends the connection: beside it stands the static file on a connection of its own.
# mod_finance's replay is one that its host remembers (IdempotencyRemember); what it would cost the database all the
# same is a row of its own. BENCH_REQUESTS, BENCH_ROUNDS.
use strict;
use warnings FATAL => 'all';
use Cost ();
use HTTP::Tiny ();
use IO::Socket::INET ();
use JSON::PP ();
use My::DB ();
use My::Finance qw(expense);
use My::Load qw(setting);
use My::Postgres ();
use My::Server ();
use My::Token qw(bearer);

use constant MOST => 1.5;    # × static: the budget of a replay and a 429

my $requests = setting(BENCH_REQUESTS => 20_000);
my $rounds = setting(BENCH_ROUNDS => 3);
my $stage = $ENV{TEST_STAGE};

my $identity = <<"CONF";
    AuthType       TenantJWT
    AuthName       orgscale
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        tenant-org
CONF
my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;
My::DB::make_org(1);
my $httpd = My::Server->new('limits', log => "LogLevel warn\n", mpm => <<'MPM', lines => <<"CONF");
# More threads than the client has connections: event closes idle ones when all are busy
StartServers      2
ServerLimit       2
ThreadsPerChild   32
MaxRequestWorkers 64
MinSpareThreads   1
MaxSpareThreads   64
MPM
LoadModule quota_module       $stage/modules/mod_quota.so
LoadModule idempotency_module $stage/modules/mod_idempotency.so
LoadModule finance_module     $stage/modules/mod_finance.so
FinanceDSN "host=$ENV{TEST_PGHOST} user=orgscale_app dbname=orgscale"
IdempotencyRemember  16M
MaxKeepAliveRequests 0
TenantProblem On
<Location /behind/>
$identity
</Location>
<Location /limited/>
$identity
    QuotaEnable On
    QuotaPolicy read user 1/h
    QuotaPolicy write user 1/h
</Location>
<Location /once/>
$identity
    Idempotency    required
    RealtimeDomain once
    SetHandler     realtime-publish
</Location>
<Location /v1/finance/>
$identity
    SetHandler     finance
</Location>
CONF

my $event = '{"orgId":1,"type":"bench.done","data":{}}';
my %head = (Authorization => bearer(org => 1, user => 1), 'Content-Type' => 'application/json');
my %key = ('Idempotency-Key' => 'bench-1');
my $expense = JSON::PP->new->canonical->encode(expense(11));
my %owner = (Authorization => bearer(org => 1, user => 11, role => 'owner'), 'Content-Type' => 'application/json',
    'Idempotency-Key' => 'bench-2');
My::Load::spew("$stage/t/logs/event", $event);
My::Load::spew("$stage/t/logs/expense", $expense);

my %fields = (Authorization => $head{Authorization});
my $cost = Cost->new(requests => $requests, httpd => $httpd, database => $pg);

sub url  { return $cost->url(@_) }
sub kept { return $cost->kept(@_) }

# Each on a connection of its own.
sub closing {
    my ($request, $status) = @_;
    return $cost->of($request, sub {
        my $n = 0;
        for (1 .. $requests) {
            my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
            print $socket $request;
            my $answer = do { local $/; <$socket> } // '';
            $n++ if $answer =~ m{^HTTP/1\.1 $status };
        }
        return $n;
    });
}

# One answer of each, whose sizes the static files take.
mkdir "$stage/t/htdocs/$_" for qw(behind limited);
My::Load::spew("$stage/t/htdocs/limited/file", 'x');
$httpd->start;
my $http = HTTP::Tiny->new;

sub refused {
    my @request = @_;
    $http->request(@request);
    my $refusal = $http->request(@request);
    $refusal->{status} == 429 or die "no 429 but $refusal->{status}: $refusal->{content}\n";
    return $refusal;
}

sub replayed {
    my ($path, $content, %with) = @_;
    my ($first, $again) = map { $http->post(url($path), { headers => \%with, content => $content }) } 1, 2;
    $first->{success} && ($again->{headers}{'idempotent-replayed'} // '') eq 'true' && $again->{content} eq $first->{content}
        or die "no replay: $first->{status} $first->{content}, then $again->{status} $again->{content}\n";
    return $again;
}

my %answer = (
    'refused-read'  => refused('GET', url('/limited/file'), { headers => \%fields }),
    'refused-write' => refused('POST', url('/limited/file'), { headers => \%fields, content => 'x' }),
    'replay'        => replayed('/once/publish', $event, %head, %key),
    'finance'       => replayed('/v1/finance/expenses', $expense, %owner),
);
for my $name (keys %answer) {
    My::Load::spew("$stage/t/htdocs/$_/$name", $answer{$name}{content}) for '.', 'behind';
}

my $lines = "Host: localhost\r\nAuthorization: $head{Authorization}\r\n";

# What is measured, beside what, and what is demanded
my @rows = (
    ['static, size of the 429',              sub { kept(8, '/refused-read', '2xx') }],
    ['... behind a token',                   sub { kept(8, '/behind/refused-read', '2xx', undef, %fields) }, 0],
    ['429 of a read',                        sub { kept(8, '/limited/file', '4xx', undef, %fields) }, 0, MOST],
    ['429 of a write without a body',        sub { kept(8, '/limited/file', '4xx', undef, %fields, ':method' => 'DELETE') }, 0, MOST],
    ['static, a connection each',            sub { closing("GET /refused-write HTTP/1.1\r\nConnection: close\r\n$lines\r\n", 200) }],
    ['429 of a write with a body, likewise', sub { closing("POST /limited/file HTTP/1.1\r\nContent-Length: 3\r\n$lines\r\n{}\n", 429) }, 4, MOST],
    ['static, size of the replay',           sub { kept(8, '/replay', '2xx') }],
    ['... behind a token',                   sub { kept(8, '/behind/replay', '2xx', undef, %fields) }, 6],
    ['replay by mod_idempotency',            sub { kept(8, '/once/publish', '2xx', "$stage/t/logs/event", %head, %key) }, 6, MOST],
    ['static, size of the expense',          sub { kept(8, '/finance', '2xx') }],
    ['replay by mod_finance',                sub { kept(8, '/v1/finance/expenses', '2xx', "$stage/t/logs/expense", %owner) }, 9, MOST],
);
my @got = map { [] } @rows;
for (1 .. $rounds) {
    push @{ $got[$_] }, [$rows[$_][1]->()] for 0 .. $#rows;
}
$httpd->stop;
exit(Cost::table(\@rows, \@got) ? 1 : 0);
