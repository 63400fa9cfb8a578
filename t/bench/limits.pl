# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What a refusal (429) and a replay cost beside a static file of the same size, sent by the same httpd
# to the same client in the same run: server CPU a request. BENCH_REQUESTS, BENCH_ROUNDS.
use strict;
use warnings FATAL => 'all';
use HTTP::Tiny ();
use My::Load qw(setting);
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
MaxKeepAliveRequests 0
TenantProblem On
<Location /behind/>
$identity
</Location>
<Location /limited/>
$identity
    QuotaEnable On
    QuotaPolicy read user 1/h
</Location>
<Location /once/>
$identity
    Idempotency    required
    RealtimeDomain once
    SetHandler     realtime-publish
</Location>
CONF

my $event = '{"orgId":1,"type":"bench.done","data":{}}';
my %head = (Authorization => bearer(org => 1, user => 1), 'Content-Type' => 'application/json');
my %key = ('Idempotency-Key' => 'bench-1');
My::Load::spew("$stage/t/logs/event", $event);

# Jiffies that httpd has had, ended children with it.
sub jiffies {
    my $sum = 0;
    for my $pid ($httpd->pid, $httpd->children) {
        my $stat = My::Server::slurp("/proc/$pid/stat");
        my @field = split ' ', $stat =~ s/^.*\) //sr;
        $sum += $_ for @field[11 .. ($pid == $httpd->pid ? 14 : 12)];
    }
    return $sum;
}

sub url { return 'http://127.0.0.1:' . $httpd->port . shift }

# CPU microseconds a request, all of which must get this status class.
sub cost {
    my ($path, $class, $body, %fields) = @_;
    my $before = jiffies();
    my @command = ('h2load', '--h1', '-n', $requests, '-c', 8, '-t', 1, (map { ('-H', "$_: $fields{$_}") } sort keys %fields),
        ($body ? ('-d', $body) : ()), url($path));
    open my $from, '-|', @command or die "h2load: $!\n";
    my $said = do { local $/; <$from> };
    close $from or die "h2load: status $?\n";
    my ($n) = $said =~ /\b(\d+) $class\b/;
    defined $n && $n == $requests or die "$path: not $requests answers $class\n$said";
    return (jiffies() - $before) * 1e6 / sysconf(_SC_CLK_TCK) / $requests;
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

# One answer of each, whose sizes the static files take.
mkdir "$stage/t/htdocs/$_" for qw(behind limited);
My::Load::spew("$stage/t/htdocs/limited/file", 'x');
$httpd->start;
my $http = HTTP::Tiny->new;
$http->get(url('/limited/file'), { headers => { Authorization => $head{Authorization} } });
my $refusal = $http->get(url('/limited/file'), { headers => { Authorization => $head{Authorization} } });
$refusal->{status} == 429 or die "no 429 but $refusal->{status}: $refusal->{content}\n";
my @write = (url('/once/publish'), { headers => { %head, %key }, content => $event });
my $first = $http->post(@write);
my $replay = $http->post(@write);
$first->{status} == 202 && ($replay->{headers}{'idempotent-replayed'} // '') eq 'true' && $replay->{content} eq $first->{content}
    or die "no replay: $first->{status} $first->{content}, then $replay->{status} $replay->{content}\n";
My::Load::spew("$stage/t/htdocs/$_/refusal", $refusal->{content}) for '.', 'behind';
My::Load::spew("$stage/t/htdocs/$_/replay", $first->{content}) for '.', 'behind';

my %fields = (Authorization => $head{Authorization});
my %case = (
    'static, 429\'s size' => sub { cost('/refusal', '2xx') },
    'static, replay\'s size' => sub { cost('/replay', '2xx') },
    'static behind a token, 429\'s size' => sub { cost('/behind/refusal', '2xx', undef, %fields) },
    'static behind a token, replay\'s' => sub { cost('/behind/replay', '2xx', undef, %fields) },
    '429' => sub { cost('/limited/file', '4xx', undef, %fields) },
    'replay' => sub { cost('/once/publish', '2xx', "$stage/t/logs/event", %head, %key) },
);
my %cost;
for (1 .. $rounds) {
    push @{ $cost{$_} }, $case{$_}->() for sort keys %case;
}
$httpd->stop;

my $missed = 0;
printf "%-36s %10s %8s\n", 'server CPU, us a request', 'us', 'ratio';
for (['static, 429\'s size'], ['static behind a token, 429\'s size', 'static, 429\'s size'], ['429', 'static, 429\'s size', MOST],
    ['static, replay\'s size'], ['static behind a token, replay\'s', 'static, replay\'s size'], ['replay', 'static, replay\'s size', MOST]) {
    my ($what, $beside, $most) = @$_;
    my $us = median(@{ $cost{$what} });
    my $ratio = $beside ? $us / median(@{ $cost{$beside} }) : undef;
    printf "%-36s %10.1f %8s  %s\n", $what, $us, defined $ratio ? sprintf('%.2f', $ratio) : '-',
        !$most ? '' : sprintf '<= %.1f %s', $most, $ratio <= $most ? 'yes' : 'NO';
    $missed++ if $most && $ratio > $most;
}
exit($missed ? 1 : 0);
