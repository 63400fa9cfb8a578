# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The self-test runs, and finds nothing, whoever is trusted; what it can't tell it says once a minute. When tenants
# really share what is cached, or a header gets out, it takes the cache out of service: in all locations and
# children, over reloads, until httpd is stopped and started (http-semantics.md 3).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask faces status_of);
use Http qw(request);
use IO::Socket::INET ();
use List::Util qw(sum);
use My::DB qw(wait_for);
use My::Log qw(expect_error expect_warn);
use My::Server ();
use Origin ();
use Test::More;

expect_error('OG136[13]');      # the cache is out of service
expect_warn('OG1364');          # a test could not be done: its server was no server of ours, or was being reloaded
my $stage = $ENV{TEST_STAGE};
my $origin = Origin->new('selftest');
my $httpd = My::Server->new('edge_selftest');
my $outer = My::Server::free_port();
# an address of this host that is not loopback's, where it has one
my ($elsewhere) = grep { /^\d+(?:\.\d+){3}$/ } split ' ', `hostname -I 2>/dev/null`;
my $abroad = My::Server::free_port();
# an origin that answers when the test does
my $slow = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!";
my %kept_at = (finance => 'finance', assets => 'assets', client => 'client');

# Where the self-test asks, for which family, and whom that server trusts
sub configure {
    my %how = (url => 'http://127.0.0.1:' . $httpd->port . '/canary', family => 'finance', trusted => 'none', @_);
    my $cache = Edge::storage();
    my $locations = join '', map { <<"CONF" } sort keys %kept_at;
<Location /$_>
    EdgeCache      $kept_at{$_}
    CacheEnable    $cache
</Location>
CONF
    my $listen = $elsewhere ? "Listen $elsewhere:$abroad" : '';
    return $httpd->configure(lines => <<"CONF");
$listen
TenantTrustedEdge $how{trusted}
TenantKeySecret file:$stage/t/conf/hs256.secret
Include $stage/src/conf/edge-families.conf
EdgeFamily everybodys max-age=60 s-maxage=300 shared=public
EdgeFamily client max-age=60
EdgeSelfTest $how{url} every=1s
CacheQuickHandler off
CacheSocache shmcb
RewriteEngine On
RewriteRule "^/finance/slow" "http://127.0.0.1:@{[ $slow->sockport ]}/" [P]
RewriteRule "^/(?:finance|assets|client)/(.*)" "http://127.0.0.1:@{[ $origin->port ]}/\$1" [P]
<Location />
    AuthType       TenantJWT
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        tenant-org
</Location>
$locations
Alias /stock "$stage/t/htdocs"
<Location /stock>
    Header         set Cache-Control "public, max-age=600"
    CacheEnable    socache
    CacheHeader    On
</Location>
<LocationMatch "^/(canary|bare|forwarded|server-status)">
    AuthType       None
    Require        local
</LocationMatch>
<LocationMatch "^/(canary|bare)">
    SetHandler     edge-canary
</LocationMatch>
<Location /canary>
    EdgeCache      $how{family}
    CacheEnable    $cache
</Location>
<Location /server-status>
    SetHandler     server-status
</Location>
# somebody in front who adds what is not for us
Listen 127.0.0.1:$outer
<VirtualHost 127.0.0.1:$outer>
    TenantTrustedEdge 127.0.0.0/8
    CacheQuickHandler off
    Header         set Surrogate-Key leaked
    ProxyPass      /forwarded http://127.0.0.1:@{[ $httpd->port ]}/canary
</VirtualHost>
CONF
}

sub counts {
    my $page = request($httpd->port, 'GET /server-status?auto')->{body};
    return { $page =~ /^Edge(SelfTest\w+|CrossTenant): (\w+)/mg };
}

# So many more tests have ended so
sub more {
    my ($result, $n) = @_;
    my $before = counts()->{"SelfTest$result"};
    return wait_for(60, sub { counts()->{"SelfTest$result"} >= $before + $n });
}

sub is_open { return counts()->{CrossTenant} eq 'open' }

# What a location says of keeping its answers, of one that it was asked for before
sub state_of {
    my $name = shift;
    return status_of(ask("GET /$name/x", by => [5, 1])) . ' ' . faces(ask("GET /$name/x", by => [5, 1]));
}

my %kept = (finance => 'hit private, max-age=60', assets => 'hit public, max-age=2592000, immutable', client => 'fwd=bypass private, max-age=60');

sub caches {
    my $when = shift;
    state_of($_) for sort keys %kept;
    is state_of($_), $kept{$_}, "$when: $_ is as its family says" for sort keys %kept;
    ask('GET /stock/index.html', by => [5, 1]) for 1 .. 2;
    like ask('GET /stock/index.html', by => [5, 1])->{header}{'x-cache'} // '', qr/^HIT/, "$when: mod_cache keeps for others";
}

# In each child, and again and again
sub caches_nothing {
    my $when = shift;
    my (%said, %by);
    my $mark = -s $httpd->dir . '/access_log';
    wait_for(60, sub {
        $said{$_}{ state_of($_) }++ for sort keys %kept;
        my $res = ask('GET /stock/index.html', by => [5, 1]);
        $said{stock}{$1}++ if ($res->{header}{'x-cache'} // '') =~ /^(HIT)/;
        %by = map { $_ => 1 } My::Server::slurp($httpd->dir . '/access_log', $mark) =~ m{^(\d+) \S+ \S+ "GET /finance}mg;
        return keys %by > 1 && sum(values %{ $said{finance} }) > 10;
    });
    is join(', ', sort keys %{ $said{$_} }), 'fwd=bypass private, no-store', "$when: $_ is kept by nobody" for sort keys %kept;
    is join(', ', keys %{ $said{stock} // {} }), '', "$when: nor is what has no family";
    cmp_ok scalar keys %by, '>', 1, "$when: so say all children";
}

# what is no server of ours: told, and once
$origin->says('*', body => 'an answer');
$origin->says('/canary', body => 'nothing of ours', status => 503, close => 1);
configure(url => 'http://127.0.0.1:' . $origin->port . '/canary')->start;
Edge::stands_for(edge => $httpd->port);
my $mark = 0;
ok more(Failed => 3), 'what a broken server says is no test';
is scalar(() = $httpd->errors($mark) =~ /OG1364: the self-test of http:\S+ could not be done: the canary's status is 503/g), 1, 'as is told once a minute';
my ($secret) = map { /^X-Edge-Canary: (\S+)\.0$/m } $origin->asked('/canary');
like $secret, qr/^[0-9a-f]{64}$/, 'it asked by a secret';
is counts()->{SelfTestOk}, 0, 'none went well';
ok !is_open(), 'none opened the breaker';
caches('while nothing can be told');

# without a cache there is less to test, whether loopback is trusted or not
$mark = $httpd->mark;
configure(url => 'http://127.0.0.1:' . $httpd->port . '/bare')->graceful;
ok more(Ok => 3), 'nothing crosses without a cache';
is scalar(() = $httpd->errors($mark) =~ /OG1362/g), 1, 'as is told once';
configure(trusted => '127.0.0.0/8 ::1')->graceful;
ok more(Ok => 2), 'nor where loopback is trusted';
$mark = $httpd->mark;
configure()->graceful;
ok more(Ok => 3), 'nor where it is not';
is counts()->{SelfTestCrossed}, 0, 'never';
unlike $httpd->errors($mark), qr/OG1362/, 'what is kept is tested';

# what the canary tells whom
my $canary = sub { return request(shift, 'GET ' . shift, @_) };
my @own = map { $canary->($httpd->port, '/canary', 'X-Edge-Canary' => "$secret.$_")->{body} =~ /^\{"canary":$_,"nonce":"([0-9a-f]{32})","trusted":false\}\n$/ } 0, 1;
is scalar @own, 2, 'who knows the secret is told';
isnt $own[0], $own[1], 'each something else';
for my $wrong ("$secret.2", "$secret.-1", "$secret.00", "$secret", "$secret.", ($secret =~ s/.$/g/r) . '.0', ('0' x 64) . '.0', ".0", "$secret.0, $secret.1", '') {
    is $canary->($httpd->port, '/canary', 'X-Edge-Canary' => $wrong)->{status}, 404, "not who says \"$wrong\"";
}
is request($httpd->port, 'GET /canary')->{status}, 404, 'nor who says nothing';
if ($elsewhere) {
    # a peer of this host that did not come over loopback: Require local lets it in
    my $socket = IO::Socket::INET->new(PeerAddr => $elsewhere, PeerPort => $abroad) or die "$elsewhere:$abroad: $!";
    print $socket "GET /canary HTTP/1.0\r\nHost: localhost\r\nX-Edge-Canary: $secret.0\r\n\r\n";
    like scalar(<$socket>), qr/ 404 /, 'nor who comes from elsewhere, whatever he says';
}
is request($httpd->port, 'POST /canary', 'X-Edge-Canary' => "$secret.0", 'Content-Length' => 0)->{status}, 404, 'there is nothing to write to';
is request($httpd->port, 'GET /finance/x', 'X-Edge-Canary' => "$secret.0")->{status}, 401, 'elsewhere the secret is worth nothing';
is request($httpd->port, 'GET /assets/x', 'X-Edge-Canary' => "$secret.0")->{status}, 401, 'anywhere';
caches('while all is well');

# somebody whose answer is under way meanwhile
my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!";
my $token = Edge::caller_of(org => 5, user => 1);
print $client "GET /finance/slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: $token\r\n\r\n";
my $asked = $slow->accept or die "accept: $!";

# tenants that really share
$mark = $httpd->mark;
configure(family => 'everybodys')->graceful;
ok wait_for(60, \&is_open), 'a crossing opens the breaker';
ok wait_for(10, sub { $httpd->errors($mark) =~ /edge:alert.*OG1363: cross_tenant: tenant 1 was given what is tenant 0's, from the cache\./ }), 'and says at ALERT what crossed';
is counts()->{SelfTestCrossed}, 1, 'it is counted';
print $asked "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nslow";
close $asked;
my $answer = do { local $/; <$client> };
like $answer, qr/^Cache-Control: private, no-store\r$/m, 'what is under way is kept by nobody';
like $answer, qr/^Cache-Status: orgscale; fwd=uri-miss\r$/m, 'here neither';
caches_nothing('once something crossed');
$mark = $httpd->mark;
configure()->graceful;
like $httpd->errors($mark), qr/edge:alert.*OG1361/, 'a reload tells that it is so still';
caches_nothing('over a reload');
$httpd->restart;
caches_nothing('over a restart');
is counts()->{SelfTestCrossed}, 1, 'nobody tests what can not cross';
$httpd->stop;
$httpd->start;
ok more(Ok => 1), 'a start tests anew';
ok !is_open(), 'the breaker is closed';
caches('after a stop and a start');
is request($httpd->port, 'GET /canary', 'X-Edge-Canary' => "$secret.0")->{status}, 404, 'there is another secret';

# a header that has to stay inside
$httpd->stop;
$mark = $httpd->mark;
configure(url => "http://127.0.0.1:$outer/forwarded")->start;
ok wait_for(60, \&is_open), 'a header that gets out opens it as well';
ok wait_for(10, sub { $httpd->errors($mark) =~ /OG1363: cross_tenant: Surrogate-Key came to a peer that is not trusted/ }), 'and is named';
caches_nothing('once a header got out');
done_testing;
