# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What a refusal (429) and a replay cost beside a static file of the same size, sent by the same httpd
# to the same client in the same run: server CPU a request. A write with a body is refused without
# reading it, which ends the connection: beside it stands the static file on a connection of its own.
# mod_finance's replay asks the database, whose CPU is a row of its own. BENCH_REQUESTS, BENCH_ROUNDS.
use strict;
use warnings FATAL => 'all';
use HTTP::Tiny ();
use IO::Socket::INET ();
use JSON::PP ();
use My::DB ();
use My::Finance qw(expense);
use My::Load qw(setting);
use My::Postgres ();
use My::Server ();
use My::Token qw(bearer);
use POSIX qw(_SC_CLK_TCK sysconf);

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

# Jiffies that a server has had, ended children with it.
sub jiffies {
    my ($parent, @children) = @_;
    my $sum = 0;
    for my $pid ($parent, @children) {
        my $stat = eval { My::Server::slurp("/proc/$pid/stat") } // next;   # it ended: its parent has its time
        my @field = split ' ', $stat =~ s/^.*\) //sr;
        $sum += $_ for @field[11 .. ($pid == $parent ? 14 : 12)];
    }
    return $sum;
}

sub httpds_jiffies    { return jiffies($httpd->pid, $httpd->children) }
sub databases_jiffies { return jiffies($pg->{pid}, grep { $_ != $pg->{pid} } $pg->processes) }

sub url { return 'http://127.0.0.1:' . $httpd->port . shift }

my %fields = (Authorization => $head{Authorization});

# CPU microseconds a request of httpd, and of the database, for what a client does meanwhile; it says how
# many answers were right.
sub cost {
    my ($what, $client) = @_;
    my ($httpds, $databases) = (httpds_jiffies(), databases_jiffies());
    my $n = $client->();
    $n == $requests or die "$what: $n of $requests answers as expected\n";
    my $us = 1e6 / sysconf(_SC_CLK_TCK) / $requests;
    return ((httpds_jiffies() - $httpds) * $us, (databases_jiffies() - $databases) * $us);
}

# On so many kept connections; right are answers of this status class.
sub kept {
    my ($connections, $path, $class, $body, %with) = @_;
    my @command = ('h2load', '--h1', '-n', $requests, '-c', $connections, '-t', 1, (map { ('-H', "$_: $with{$_}") } sort keys %with),
        ($body ? ('-d', $body) : ()), url($path));
    return cost($path, sub {
        open my $from, '-|', @command or die "h2load: $!\n";
        my $said = do { local $/; <$from> };
        close $from or die "h2load: status $?\n";
        return $said =~ /\b(\d+) $class\b/ ? $1 : 0;
    });
}

# Each on a connection of its own.
sub closing {
    my ($request, $status) = @_;
    return cost($request, sub {
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

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

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
    # one at a time: of two at once with one key the second is told to come again
    ['static, size of the expense',          sub { kept(1, '/finance', '2xx') }],
    ['replay by mod_finance',                sub { kept(1, '/v1/finance/expenses', '2xx', "$stage/t/logs/expense", %owner) }, 9, MOST],
);
my (@cost, @database);
for (1 .. $rounds) {
    for my $n (0 .. $#rows) {
        my ($httpds, $databases) = $rows[$n][1]->();
        push @{ $cost[$n] }, $httpds;
        push @{ $database[$n] }, $databases;
    }
}
$httpd->stop;

my $missed = 0;
printf "%-40s %8s %8s\n", 'server CPU, us a request', 'us', 'ratio';
for my $n (0 .. $#rows) {
    my ($what, undef, $beside, $most) = @{ $rows[$n] };
    my ($us, $database) = (median(@{ $cost[$n] }), median(@{ $database[$n] }));
    my $ratio = defined $beside ? $us / median(@{ $cost[$beside] }) : undef;
    printf "%-40s %8.1f %8s  %s\n", $what, $us, defined $ratio ? sprintf('%.2f', $ratio) : '-',
        !$most ? '' : sprintf '<= %.1f %s', $most, $ratio <= $most ? 'yes' : 'NO';
    printf "%-40s %8.1f\n", '... of PostgreSQL besides', $database if $database > 5;
    $missed++ if $most && $ratio > $most;
}
exit($missed ? 1 : 0);
