# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Two servers, as two hosts, with one Redis: limits and keys are common to both. When Redis is gone, each
# goes on with its own buckets, keys are answered 503, and no request waits (F19).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use HTTP::Tiny ();
use My::Log qw(expect_warn);
use My::Redis;
use My::Server;
use My::Token ();
use Test::More;
use Time::HiRes qw(time);

expect_warn('OG2100', 'OG2103', 'OG1104', 'OG1208', 'OG1210');
my $redis = My::Redis->new->start('--requirepass', 'secret');
my $secret = My::Token::spew("$ENV{TEST_STAGE}/t/logs/redis_hosts_password", "secret\n");
my $site = <<"CONF";
RedisServer      @{[$redis->server]}
RedisPassword    file:$secret
RedisPrefix      hosts
QuotaStore       redis
IdempotencyStore redis
TenantTrustedEdge none
<Location />
    AuthType       TenantJWT
    AuthName       orgscale
    TenantJWKS     file:$ENV{TEST_STAGE}/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    TenantProblem  On
    Require        valid-user
</Location>
<Location /limited>
    QuotaEnable    On
    QuotaPolicy    write user 10/h
    QuotaPolicy    write org off
</Location>
<Location /once>
    Idempotency    required
</Location>
Alias /once    $ENV{TEST_STAGE}/t/htdocs/index.html
Alias /limited $ENV{TEST_STAGE}/t/htdocs/index.html
<Location /server-status>
    AuthType       None
    Require        local
    SetHandler     server-status
</Location>
CONF
# a test of what is common to both must not fail for a slow machine
my @hosts = map { My::Server->new("redis_host_$_", lines => "${site}RedisTimeout 1s\n") } 0, 1;
$_->start for @hosts;
my $http = HTTP::Tiny->new(timeout => 20);
my $user = 100;

sub post {
    my ($host, $path, %headers) = @_;
    my $began = time;
    my $res = $http->post('http://127.0.0.1:' . $hosts[$host]->port . $path, { content => '{}',
        headers => { Authorization => My::Token::bearer(org => 91, user => $user, role => 'owner', ttl => 3600),
                     'Content-Type' => 'application/json', %headers } });
    return ($res, time - $began);
}

sub counts {
    my $host = shift;
    my $page = $http->get('http://127.0.0.1:' . $hosts[$host]->port . '/server-status?auto')->{content};
    return { $page =~ /^Redis-(\S+): (\d+)$/mg };
}

sub soon {
    my $code = shift;
    my $end = time + 20;
    until ($code->()) {
        return 0 if time > $end;
        select undef, undef, undef, 0.02;
    }
    return 1;
}

# Until its link is up, a child's own buckets decide: so many requests in a row that did not need them
sub fallbacks {
    my $page = $http->get('http://127.0.0.1:' . $hosts[shift]->port . '/server-status?auto')->{content};
    return $page =~ /^QuotaFallbacks: (\d+)$/m ? $1 : die "no counts: $page";
}
for my $host (0, 1) {
    ok soon(sub { my $before = fallbacks($host); $user++; post($host, '/limited') for 1 .. 10; return fallbacks($host) == $before }),
        "all children of host $host have Redis";
}
$user++;
my @statuses = map { (post($_ % 2, '/limited'))[0]{status} } 1 .. 14;
is "@statuses", join(' ', (200) x 10, (429) x 4), 'ten a user are ten on both hosts together';
cmp_ok counts($_)->{ok}, '>', 0, "host $_ says on its status page that it asked Redis" for 0, 1;
is scalar(grep { !/^hosts:quota:/ } @{ $redis->call(qw(AUTH secret)) && $redis->call(qw(KEYS *)) }), 0, 'all keys begin with the prefix';

my ($first) = post(0, '/once', 'Idempotency-Key' => 'k-1');
is $first->{status}, 200, 'a request with a key is done';
my ($again) = post(1, '/once', 'Idempotency-Key' => 'k-1');
is $again->{headers}{'idempotent-replayed'}, 'true', 'its repetition at the other host is answered from the store';
is $again->{content}, $first->{content}, 'byte for byte';
is((post(1, '/once?x=1', 'Idempotency-Key' => 'k-1'))[0]{status}, 409, 'another request under the key is refused there');

# short time-outs from here on: what counts is that nobody waits
$_->configure(lines => "${site}RedisTimeout 20ms\n")->graceful->renewed for @hosts;
for my $fault (['stopped', sub { $redis->stop }, sub { $redis->start }],
    ['frozen', sub { $redis->freeze }, sub { $redis->thaw }]) {
    my ($name, $break, $mend) = @$fault;
    $user++;
    ok soon(sub { (post(0, '/once', 'Idempotency-Key' => "up-$name-" . rand))[0]{status} == 200 }), "before Redis is $name";
    $break->();
    my (@limited, @once, @took);
    for my $n (1 .. 12) {
        my ($limited, $took) = post(0, '/limited');
        my ($once, $also) = post(0, '/once', 'Idempotency-Key' => "gone-$name-$n");
        push @limited, $limited->{status};
        push @once, $once->{status};
        push @took, $took, $also;
    }
    is "@limited", join(' ', (200) x 10, (429) x 2), "$name: the buckets of this host decide";
    is "@once", join(' ', (503) x 12), 'and no request with a key is done';
    @took = sort { $a <=> $b } @took;       # one may have waited for a processor
    cmp_ok $took[@took / 2], '<', 0.12 * My::Server::slowness(), 'and nobody waited for it';
    cmp_ok $took[-1], '<', 1 * My::Server::slowness(), 'not even the first one';
    $mend->();
    ok soon(sub { (post(0, '/once', 'Idempotency-Key' => "back-$name-" . rand))[0]{status} == 200 }), 'and when it is back, keys are taken again';
    my $seen = counts(0);
    cmp_ok $seen->{'went-down'}, '>', 0, 'the status page says how often it was gone';
}
like $hosts[0]->errors, qr/OG2100: Redis is not there .*OG2102: Redis is back after \d+ ms/s, 'and the log when, and for how long';

# emptied: buckets are full, keys are forgotten
$redis->call(qw(AUTH secret));
$redis->call('FLUSHALL');
ok soon(sub { (post(1, '/limited'))[0]{status} == 200 }), 'an emptied Redis is one with full buckets';
$_->stop for @hosts;
undef $redis;
done_testing;
