# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Early data (RFC 8470): what a trusted edge says came early, and has an effect, is 425 before the
# caller is asked for a token and before its body is read; nobody else's header is seen by anybody.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use Http;
use My::Log qw(expect_error);
use My::Server;
use My::Token qw(bearer);
use My::Wire;
use Test::More;

expect_error('AH00135: Invalid method in request FROB');
my $stage = $ENV{TEST_STAGE};
my $conf = My::Token::dir();
my $h2c = has_h2() ? "Protocols h2c http/1.1\n" : '';
my ($edge, $backend) = (My::Server::free_port(), My::Server::free_port());

# The same site for clients and behind an edge; what a backend sees comes back in X-Saw
my $site = <<"CONF";
    Alias /api $stage/t/tenant/docs
    ProxyPass /backend http://127.0.0.1:$backend
    RewriteEngine on
    RewriteRule ^/rewritten\$ /page.html [PT]
    <Location /api>
        AuthType       TenantJWT
        TenantJWKS     file:$conf/jwks.json
        TenantIssuer   https://issuer.test
        TenantAudience orgscale
        Require        tenant-org
    </Location>
    <Location /off>
        TenantProblem  off
    </Location>
CONF
my $httpd = My::Server->new('early');
$httpd->configure(lines => <<"CONF");
LogLevel authz_core:crit
$h2c
TraceEnable on
DocumentRoot $stage/t/tenant/docs
TenantTrustedEdge none
$site
Listen 127.0.0.1:$edge
<VirtualHost 127.0.0.1:$edge>
    TenantTrustedEdge 127.0.0.1
    $site
</VirtualHost>
Listen 127.0.0.1:$backend
<VirtualHost 127.0.0.1:$backend>
    # a faithful backend: it trusts the faces before it, so its own copy is left as it came
    TenantTrustedEdge 127.0.0.1
    Header always set X-Saw "expr=early=[%{req:Early-Data}] other=[%{req:Early_Data}%{req:EarlyData}]"
</VirtualHost>
CONF
$httpd->start;
my $client = $httpd->port;
my @bearer = (Authorization => bearer(org => 1, user => 2));
my @early = ('Early-Data' => 1);

my @protocols = (['HTTP/1.1', \&request], has_h2() ? ['h2c', \&h2] : ());
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;

    # what has no effect is served, to whom it would be served later, too
    is $ask->($edge, 'GET /page.html', @early)->{status}, 200, "$name GET is served";
    is $ask->($edge, 'HEAD /page.html', @early)->{status}, 200, 'HEAD is';
    is $ask->($edge, 'OPTIONS /page.html', @early)->{status}, 200, 'OPTIONS is';
    is $ask->($edge, 'GET /api/page.html', @early)->{status}, 401, 'without a token not';
    is $ask->($edge, 'GET /api/page.html', @early, @bearer)->{status}, 200, 'with one it is';

    # what has is not, wherever it goes
    for my $what ('POST /page.html', 'POST /api/page.html', 'PUT /api/page.html', 'PATCH /api/page.html', 'DELETE /api/page.html',
                  'POST /backend/page.html', 'POST /rewritten', 'POST /off/x', 'POST /nothing', 'FROB /page.html') {
        my $got = $ask->($edge, $what, @early, $what =~ /PUT/ ? @bearer : ());
        is $got->{status}, 425, "$name $what: 425";
        is problem($got)->{code}, 'too_early', 'with its code';
        is problem($got)->{title}, 'Too Early', 'and its title';
        is $got->{header}{'cache-control'}, 'no-store', 'not to be kept';
        is $got->{header}{'www-authenticate'}, undef, 'nobody was asked for a token';
        like $got->{line}, qr/^HTTP\/1\.1 425 Too Early$/, 'as its status line says' if $name eq 'HTTP/1.1';
        my $again = $ask->($edge, $what, $what =~ /PUT/ ? @bearer : ());
        isnt $again->{status}, 425, 'and once the handshake is complete it is let in';
        isnt $ask->($client, $what, @early)->{status}, 425, 'a client has nothing to say of this';
    }

    # RFC 8470 5.1: an edge that says anything says 1
    for my $value ('1', '0', '', '01', 'true', '1, 1', '"1"', 'x' x 4000) {
        next if $value eq '' && $name eq 'h2c';         # curl drops it
        my $shown = substr $value, 0, 20;
        is $ask->($edge, 'POST /page.html', 'Early-Data' => $value)->{status}, 425, "$name an edge's \"$shown\" is 1";
        is $ask->($edge, 'GET /backend/page.html', 'Early-Data' => $value)->{header}{'x-saw'}, 'early=[1] other=[]', 'and is passed on as that';
        is $ask->($client, 'GET /backend/page.html', 'Early-Data' => $value)->{header}{'x-saw'}, 'early=[] other=[]', "a client's is not";
    }
    is $ask->($edge, 'POST /page.html', 'eArLy-dAtA' => 1)->{status}, 425, 'in any case';
    is $ask->($edge, 'GET /backend/page.html')->{header}{'x-saw'}, 'early=[] other=[]', 'what came in time says nothing';
}

# twice; in other spellings; named in Connection, so that a proxy would drop it
is request($edge, 'POST /page.html', @early, @early)->{status}, 425, 'twice is once';
for my $other ('Early_Data', 'EARLY_data', 'Early.Data') {
    isnt request($edge, 'POST /page.html', $other => 1)->{status}, 425, "$other is another name";
    unlike request($_, 'TRACE /page.html', $other => 'early-1')->{body}, qr/early-1/, 'that nobody sees' for $client, $edge;
}
unlike request($client, 'TRACE /page.html', 'Early-Data' => 'early-1')->{body}, qr/early/i, "a client's is gone at the first hook";
is request($edge, 'GET /backend/page.html', @early, Connection => 'Early-Data')->{header}{'x-saw'}, 'early=[1] other=[]', 'Connection can not take it away';

# the body is neither asked for nor read, and what stands behind it is no request
my $wire = My::Wire->new($edge);
$wire->send("POST /api/page.html HTTP/1.1\r\nHost: x\r\nEarly-Data: 1\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n");
my $answer = $wire->answer;
is $answer && $answer->{status}, 425, 'answered while the body is still to come';
unlike $answer->{raw}, qr/^HTTP\/1\.1 100/m, 'and nobody asked for it';
ok !$answer->{keep}, 'the connection ends in its place';
$wire = My::Wire->new($edge);
$wire->send("POST /api/page.html HTTP/1.1\r\nHost: x\r\nEarly-Data: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
is +($wire->answer || {})->{status}, 425, 'one of unknown length, too';
$wire = My::Wire->new($edge);
$wire->send("POST /api/page.html HTTP/1.1\r\nHost: x\r\nEarly-Data: 1\r\nContent-Length: 45\r\n\r\nGET /page.html HTTP/1.1\r\nHost: x\r\nX: 12345\r\n\r\n");
is +($wire->answer || {})->{status}, 425, 'a body that looks like a request';
is $wire->rest, '', 'is none';

# without a body the edge keeps its connection
$wire = My::Wire->new($edge);
$wire->send("DELETE /api/page.html HTTP/1.1\r\nHost: x\r\nEarly-Data: 1\r\n\r\nGET /page.html HTTP/1.1\r\nHost: x\r\n\r\n");
$answer = $wire->answer;
is $answer->{status}, 425, 'without a body: 425';
ok $answer->{keep}, 'the connection stays';
is $wire->answer->{status}, 200, 'and the next request on it is no early one';
done_testing;
