# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# mod_tenant in front of a service that is none of ours: what the service says stays, what httpd says
# in its place is a problem, and CORS and early data hold for both, over HTTP/1.1 and h2c.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::Bin/../tenant", "$ENV{TEST_STAGE}/t/lib";
use Http;
use IO::Socket::INET ();
use JSON::PP qw(decode_json);
use My::Backend;
use My::Log qw(expect_error);
use My::Server;
use My::Token qw(bearer);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

# the backend is stopped, is late, and is not HTTP
expect_error('AH00957: (?i:http): attempt to connect', 'AH01114: (?i:http): failed to make connection', 'AH01102: error reading status line',
             'AH00898: Error reading from remote server', 'AH01097: pass request body failed', 'AH10154: pass request body failed');
my $conf = My::Token::dir();
my $h2c = has_h2() ? "Protocols h2c http/1.1\n" : '';
my ($edge, $client) = (My::Server::free_port(), My::Server::free_port());
my $backend = My::Backend->new('backend');
my $address = '127.0.0.1:' . $backend->port;

# One that closes without a word (what is no HTTP at all, stock mod_proxy takes for HTTP/0.9)
my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8) or die "listen: $!";
my $mute_port = $mute->sockport;
my $mute_pid = fork // die "fork: $!";
if (!$mute_pid) {
    while (my $peer = $mute->accept) {
        sysread $peer, my $asked, 65536;
        close $peer;
    }
    POSIX::_exit(0);
}
close $mute;
END { kill TERM => $mute_pid if $mute_pid }

my $httpd = My::Server->new('proxy');
my $site = <<"CONF";
    <Location /proxy/>
        ProxyPass        http://$address/ retry=0 timeout=2
        ProxyPassReverse http://$address/
        ProxyPassReverse /
        AuthType       TenantJWT
        TenantJWKS     file:$conf/jwks.json
        TenantIssuer   https://issuer.test
        TenantAudience orgscale
        Require        tenant-org
        TenantForward  org
        TenantForward  user
        TenantCorsOrigins https://app.example.com
        TenantCorsExpose  X-Total-Count
    </Location>
    <Location /proxy/mute>
        ProxyPass http://127.0.0.1:$mute_port/ retry=0 timeout=2
    </Location>
CONF
$httpd->configure(lines => <<"CONF");
LogLevel authz_core:crit
$h2c
Listen 127.0.0.1:$client
<VirtualHost 127.0.0.1:$client>
    $site
</VirtualHost>
Listen 127.0.0.1:$edge
<VirtualHost 127.0.0.1:$edge>
    TenantTrustedEdge 127.0.0.1
    $site
</VirtualHost>
CONF
$httpd->start;
my $app = 'https://app.example.com';
my @origin = (Origin => $app);
my @asks = (@origin, 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'authorization,content-type,idempotency-key');
my @bearer = (Authorization => bearer(org => 7, user => 31));

sub effects { return decode_json(request($client, 'GET /proxy/effects', @bearer)->{body})->{effects} }

# CORS for a page of the app, whoever answered: the backend's own says everybody
sub readable {
    my ($answer, $what) = @_;
    is $answer->{header}{'access-control-allow-origin'}, $app, "$what: for its origin alone";
    like $answer->{header}{'access-control-expose-headers'}, qr/^X-Total-Count, .*\bX-Request-Id\b/, 'and what it may read';
    like $answer->{header}{vary}, qr/\bOrigin\b/, 'and on what it depends';
}

my @protocols = (['HTTP/1.1', \&request], has_h2() ? ['h2c', \&h2] : ());
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;

    my $who = $ask->($client, 'GET /proxy/who', @origin, @bearer);
    is $who->{status}, 200, "$name: a caller reaches the backend";
    is decode_json($who->{body})->{headers}{'x-org-id'}[0], 7, 'which is told who it is';
    readable($who, 'its answer');
    is $ask->($client, 'GET /proxy/who', Origin => 'https://evil.test', @bearer)->{header}{'access-control-allow-origin'}, undef,
        "another origin gets nothing, though the backend says everybody";

    # what the backend says stays what it is
    for my $status (400, 404, 409, 418, 500, 503) {
        my $own = $ask->($client, "GET /proxy/error?status=$status", @origin, @bearer);
        is $own->{status}, $status, "$name: the backend's own $status";
        is $own->{body}, "this is what I say when I fail\n", 'has its body';
        like $own->{header}{'content-type'}, qr{^text/plain}, 'and its type';
        readable($own, 'a page sees it');
    }
    my $page = $ask->($client, 'GET /proxy/page', @origin, @bearer);
    is $page->{header}{etag}, '"page-1"', "$name: a page with a tag";
    my $same = $ask->($client, 'GET /proxy/page', @origin, @bearer, 'If-None-Match' => '"page-1"');
    is $same->{status}, 304, 'is not sent again';
    is $same->{body}, '', 'without a body';
    is $same->{header}{etag}, '"page-1"', 'with its tag';
    readable($same, 'the 304');
    my $head = $ask->($client, 'HEAD /proxy/page', @origin, @bearer);
    is $head->{status}, 200, "$name: its head";
    is $head->{header}{'content-length'}, length $page->{body}, 'says how long it is';
    is $head->{body}, '', 'and no more';
    readable($head, 'the head');
    my $moved = $ask->($client, 'GET /proxy/moved', @origin, @bearer);
    is $moved->{status}, 302, "$name: a redirect";
    like $moved->{header}{location}, qr{/proxy/who$}, 'stays behind httpd';
    readable($moved, 'the redirect');
    my $hints = $ask->($client, 'GET /proxy/hints', @origin, @bearer);
    is $hints->{status}, 200, "$name: the answer after a 103";
    unlike $hints->{raw}, qr/103|preload/, 'alone';
    is length $ask->($client, 'GET /proxy/large?bytes=3000000', @bearer)->{body}, 3_000_000, "$name: a large body arrives";

    # what httpd says
    # (over HTTP/2, and on a connection that was used before, stock mod_proxy says nothing at all of a
    # backend that closed without a word, so that the client tries again)
    for (['GET /proxy/who', 401, 'unauthenticated'], ['GET /proxy/slow?seconds=20', 502, 'bad_gateway', @bearer],
         $name eq 'HTTP/1.1' ? ['GET /proxy/mute', 502, 'bad_gateway', @bearer] : ()) {
        my ($what, $status, $code, @fields) = @$_;
        my $got = $ask->($client, $what, @origin, @fields);
        is $got->{status}, $status, "$name $what: $status";
        is problem($got)->{code}, $code, 'is a problem';
        is problem($got)->{status}, $status, 'that says so';
        readable($got, "$what");
    }

    # a preflight and a request that came too early do not reach it
    my $before = effects();
    my $preflight = $ask->($client, 'OPTIONS /proxy/notes', @asks);
    is $preflight->{status}, 204, "$name: a preflight is answered";
    is $preflight->{header}{'access-control-allow-headers'}, 'Authorization, Content-Type, Idempotency-Key', 'with what it may send';
    is $preflight->{header}{'x-total-count'}, undef, 'not by the backend';
    my $early = $ask->($edge, 'POST /proxy/notes', @origin, @bearer, 'Early-Data' => 1);
    is $early->{status}, 425, "$name: a write as early data";
    is problem($early)->{code}, 'too_early', 'is to come again';
    readable($early, 'the 425');
    is effects(), $before, 'no effect of either';
    my $read = $ask->($edge, 'GET /proxy/who', @bearer, 'Early-Data' => 1);
    is decode_json($read->{body})->{headers}{'early-data'}[0], 1, 'a read is passed on, and says that it came early';
}

# a write, once
my $before = effects();
my $written = request($client, 'POST /proxy/notes', @bearer, 'Content-Length' => 0);
is $written->{status}, 201, 'a write';
is decode_json($written->{body})->{by}, 31, 'by whom';
is effects(), $before + 1, 'has one effect';

# the backend down: said at once, in our form, and over as soon as it is back
$backend->stop;
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    my $began = time;
    my $down = $ask->($client, 'GET /proxy/who', @origin, @bearer);
    is $down->{status}, 503, "$name: the backend is down";
    is problem($down)->{code}, 'upstream_unavailable', 'which is a problem';
    readable($down, 'a page sees that');
    cmp_ok time - $began, '<', 10, 'without waiting for it';
    is $ask->($client, 'GET /proxy/who', @origin)->{status}, 401, 'who has no token is told that, not what is down';
    is $ask->($client, 'OPTIONS /proxy/notes', @asks)->{status}, 204, 'preflights need no backend';
}
$backend->start;
is request($client, 'GET /proxy/who', @bearer)->{status}, 200, 'and back';
done_testing;
