# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# One error form: what the core itself refuses, requests that can't be read included, is a problem
# where mod_tenant speaks for the server or the location, and the server's own page anywhere else.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use Apache::Test ();
use Http;
use IO::Socket::INET ();
use My::Log qw(expect_error);
use My::Server;
use My::Token qw(bearer);
use Test::More;

expect_error('AH00135', 'AH10244: invalid URI path');
my $conf = My::Token::dir();
my $other = My::Server::free_port();
my $httpd = My::Server->new('errors', realtime => 1);
$httpd->configure(realtime => 1, lines => <<"CONF");
LogLevel authz_core:crit
LimitRequestLine 400
LimitRequestFieldSize 1000
LimitRequestFields 20
RequestReadTimeout header=1 body=1
Alias /site $ENV{TEST_STAGE}/t/htdocs
TraceEnable off
TenantProblem on
<Location /site>
    TenantProblem off
</Location>
<Location /small>
    LimitRequestBody 50
    SetHandler realtime-publish
    RealtimeDomain rt_a
    TenantMaxBody 200
</Location>
<Location /large>
    SetHandler realtime-publish
    RealtimeDomain rt_a
    TenantMaxBody 200
</Location>
Listen 127.0.0.1:$other
<VirtualHost 127.0.0.1:$other>
    TenantProblem off
    # unset again, so that each location goes by what it is
    <Location /jwt>
        TenantProblem on
    </Location>
</VirtualHost>
CONF
$httpd->start;
my $port = $httpd->port;

# bytes, status or statuses, code; served by: the server whose default is a problem, and the one without
my $host = "Host: localhost\r\nConnection: close\r\n";
my @rows = (
    ['no such thing',       "GET /nothing HTTP/1.1\r\n$host\r\n", 404, 'not_found'],
    ['a method unknown',    "FETCH /index.html HTTP/1.1\r\n$host\r\n", [405, 501], 'method_not_allowed'],
    ['a method not for it', "PUT /index.html HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx", 405, 'method_not_allowed'],
    ['TRACE',               "TRACE / HTTP/1.1\r\n$host\r\n", 405, 'method_not_allowed'],
    ['a line too long',     'GET /' . 'a' x 500 . " HTTP/1.1\r\n$host\r\n", 414, 'uri_too_long'],
    ['a field too long',    "GET / HTTP/1.1\r\n${host}X: " . 'a' x 1200 . "\r\n\r\n", [400, 431], qr/invalid_request|header_too_large/],
    ['too many fields',     "GET / HTTP/1.1\r\n$host" . join('', map { "X-$_: 1\r\n" } 1 .. 25) . "\r\n", [400, 431], qr/invalid_request|header_too_large/],
    ['a field without colon', "GET / HTTP/1.1\r\n${host}nonsense\r\n\r\n", 400, 'invalid_request'],
    ['a name with a space', "GET / HTTP/1.1\r\n${host}X Y: 1\r\n\r\n", 400, 'invalid_request'],
    ['no Host',             "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, 'invalid_request'],
    ['a bad Host',          "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400, 'invalid_request'],
    ['a bad escape',        "GET /%zz HTTP/1.1\r\n$host\r\n", 400, 'invalid_request'],
    ['a NUL',               "GET /a\0b HTTP/1.1\r\n$host\r\n", 400, 'invalid_request'],
    ['a bad version',       "GET / HTTP/x\r\n$host\r\n", 400, 'invalid_request'],
    ['a bad length',        "POST /nothing HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n", 400, 'invalid_request'],
    ['an expectation',      "GET /index.html HTTP/1.1\r\n${host}Expect: more\r\n\r\n", 417, 'invalid_request'],
    ['a head that stops',   "GET / HTTP/1.1\r\nHost: lo", 408, 'request_timeout'],
);
for (@rows) {
    my ($what, $bytes, $status, $code) = @$_;
    my %status = map { $_ => 1 } ref $status ? @$status : $status;
    my $answer = Http::parse(exchange($port, $bytes));
    my $problem = problem($answer);
    ok $status{ $answer->{status} }, "$what: $answer->{status}";
    is $problem->{status}, $answer->{status}, "$what: a problem of that status";
    $code = 'internal_error' if $answer->{status} == 501;
    ref $code ? like $problem->{code}, $code, "$what: its code" : is $problem->{code}, $code, "$what: its code";
    is $answer->{header}{'content-length'} // length $answer->{body}, length $answer->{body}, "$what: whole";
    like $answer->{header}{'x-request-id'}, qr/^[\w-]{22}$/, "$what: with its id";
    my $page = Http::parse(exchange($other, $bytes));
    is $page->{status}, $answer->{status}, "$what: elsewhere the same status";
    like $page->{header}{'content-type'} // '', qr{^text/html}, "$what: and the server's own page"
        unless $page->{header}{'content-type'} && $what eq 'none';
    is request($port, 'GET /index.html')->{status}, 200, "$what: the next request is served";
}
like request($port, 'GET /site/nothing')->{header}{'content-type'}, qr{^text/html}, 'a location may keep its pages';

# no body with HEAD and 304
for my $what ('HEAD /nothing', 'HEAD /rt/a/subscribe', 'HEAD /rt/a/metrics') {
    my $answer = request($port, $what);
    cmp_ok $answer->{status}, '>=', 400, "$what is refused";
    is $answer->{body}, '', 'without a body';
}
my $tag = request($port, 'GET /index.html')->{header}{etag};
my $same = request($port, 'GET /index.html', 'If-None-Match' => $tag);
is $same->{status}, 304, 'a 304';
is $same->{body}, '', 'has no body';
is $same->{header}{'content-type'}, undef, 'and is no problem';

# bodies: the core's limit, ours, by length and by chunks; a byte below, at, and past it
sub post {
    my ($path, $size, $chunked) = @_;
    my $body = '{"orgId":1,"type":"a","data":"' . 'x' x ($size - 32) . '"}';
    length $body == $size or die 'size';
    my $head = "POST $path HTTP/1.1\r\n${host}Content-Type: application/json\r\n";
    return Http::parse(exchange($port, $chunked ? sprintf("${head}Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $size, $body)
        : "${head}Content-Length: $size\r\n\r\n$body"));
}
for my $chunked (0, 1) {
    my $how = $chunked ? 'chunked' : 'with its length';
    is post('/large', $_, $chunked)->{status}, 202, "a body of $_ bytes, $how" for 199, 200;
    my $answer = post('/large', 201, $chunked);
    is $answer->{status}, 413, "201 are too many, $how";
    is problem($answer)->{code}, 'payload_too_large', 'which is said';
    like problem($answer)->{detail}, qr/200/, 'with the bound';
    is post('/small', 50, $chunked)->{status}, 202, "50 bytes where the core takes 50, $how";
    $answer = post('/small', 51, $chunked);
    is $answer->{status}, 413, "51 are too many, $how";
    is problem($answer)->{code}, 'payload_too_large', 'and in our form';
}
my $slow = Http::parse(exchange($port, "POST /large HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"org"));
is $slow->{status}, 408, 'a body that stops';
is problem($slow)->{code}, 'request_timeout', 'is told so';

# each reason of a 401
my $now = int time;
my %reason = (
    missing       => undef,
    malformed     => 'Bearer a.b',
    algorithm     => 'Bearer ' . My::Token::sign('EdDSA', My::Token::claims(), header => { alg => 'none' }),
    key           => 'Bearer ' . My::Token::sign('EdDSA', My::Token::claims(), header => { kid => 'who' }),
    signature     => do { my $t = bearer(); substr($t, -20, 1) =~ tr/A-Za-z0-9_-/B-ZAb-za1-90A-B/; $t },
    expired       => bearer(ttl => -1),
    not_yet_valid => 'Bearer ' . My::Token::sign('EdDSA', My::Token::claims(nbf => $now + 100)),
    issuer        => 'Bearer ' . My::Token::sign('EdDSA', My::Token::claims(iss => 'https://elsewhere.test')),
    audience      => 'Bearer ' . My::Token::sign('EdDSA', My::Token::claims(aud => 'others')),
    claims        => 'Bearer ' . My::Token::sign('EdDSA', My::Token::claims(orgId => '07')),
);
for my $reason (sort keys %reason) {
    my $answer = request($port, 'GET /rt/a/subscribe?wait=0', defined $reason{$reason} ? (Authorization => $reason{$reason}) : ());
    is $answer->{status}, 401, "$reason: 401";
    is problem($answer)->{code}, 'unauthenticated', 'its code';
    is problem($answer)->{details}{reason}, $reason, 'and why';
    like $answer->{header}{'www-authenticate'}, qr/^Bearer realm="orgscale"/, 'with a challenge';
}
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
