# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Cross-origin requests: a preflight is answered before anybody else sees it, and every answer says
# what pages of its origin may read, whoever made it; an origin that is not listed gets nothing.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use HTTP::Date ();
use Http;
use IO::Socket::INET ();
use My::Log qw(expect_error);
use My::Server;
use My::Source qw(files slurp);
use My::Token qw(bearer);
use POSIX ();
use Rt ();
use Test::More;

expect_error('AH00957', 'AH01114');         # no backend there
my $stage = $ENV{TEST_STAGE};
my $conf = My::Token::dir();
my $h2c = has_h2() ? "Protocols h2c http/1.1\n" : '';
my ($plain, $nobody, $by_file) = map { My::Server::free_port() } 1 .. 3;

# A backend with a CORS opinion of its own, that counts what reaches it.
my $backend = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "listen: $!";
my $backend_port = $backend->sockport;
my $served = "$stage/t/logs/cors-served";
my $backend_pid = fork // die "fork: $!";
if (!$backend_pid) {
    while (my $peer = $backend->accept) {
        my $head = '';
        1 while $head !~ /\r\n\r\n/ && sysread $peer, $head, 65536, length $head;
        open my $log, '>>', $served or die "$served: $!";
        syswrite $log, $head =~ s/\r\n.*//sr . "\n";
        my ($status) = $head =~ m{^\S+ /\S*?s(\d+)};
        syswrite $peer, 'HTTP/1.1 ' . ($status // 200) . " Said\r\nConnection: close\r\nContent-Length: 2\r\nETag: \"b\"\r\n"
            . "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Origin: https://evil.test\r\nAccess-Control-Allow-Credentials: true\r\n"
            . "Access-Control-Expose-Headers: X-Secret\r\nAccess-Control-Max-Age: 9\r\nVary: Accept, origin\r\n\r\nok";
        close $peer;
    }
    POSIX::_exit(0);
}
close $backend;
END { kill TERM => $backend_pid if $backend_pid }
sub reached { return join ' ', split /\n/, My::Server::slurp($served) }

my $httpd = My::Server->new('cors', realtime => 1);
$httpd->configure(realtime => 1, lines => <<"CONF");
LogLevel authz_core:crit
$h2c
TenantCorsOrigins https://app.example.com http://localhost:5173 https://*.tenants.example.com
TenantCorsCredentials on
TenantCorsExpose X-Total-Count
LimitRequestFieldSize 60000
RewriteEngine on
RewriteRule ^/moved\$ /elsewhere [R=302,L]
RewriteRule ^/forbidden\$ - [F]
RewriteRule ^/pretty\$ /public/page.html [PT]
RewriteRule ^/rewritten-away/(.*) http://127.0.0.1:$backend_port/\$1 [P]
Redirect 301 /e301 http://elsewhere.test/
Alias /api $stage/t/tenant/docs
Alias /public $stage/t/tenant/docs
Alias /cached $stage/t/tenant/docs
Alias /off $stage/t/tenant/docs
ErrorDocument 410 /public/page.html
Redirect 410 /e410
CacheSocache shmcb
CacheQuickHandler off
CacheHeader on
CacheDefaultExpire 600
# a file that has just been written is fresh for a moment only
CacheMinExpire 600
CacheIgnoreNoLastMod on
<Location /cached>
    CacheEnable socache
</Location>
<Location /api>
    AuthType       TenantJWT
    TenantJWKS     file:$conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        tenant-org
</Location>
<Location /public>
    TenantCorsOrigins     *
    TenantCorsCredentials off
</Location>
<Location /named>
    TenantCorsOrigins null https://app.example.com
    TenantCorsCredentials off
    TenantCorsMethods GET PUT
    TenantCorsHeaders X-One X-Two Content-Type
    TenantCorsMaxAge  60
</Location>
<Location /starred>
    TenantCorsOrigins *
</Location>
<Location /off>
    TenantCorsOrigins none
</Location>
ProxyPass /backend http://127.0.0.1:$backend_port
ProxyPass /nobackend http://127.0.0.1:1
Listen 127.0.0.1:$plain
<VirtualHost 127.0.0.1:$plain>
    TenantCorsOrigins none
    <Location /site>
        TenantCorsOrigins https://app.example.com
    </Location>
    Alias /site $stage/t/tenant/docs
</VirtualHost>
Listen 127.0.0.1:$nobody
<VirtualHost 127.0.0.1:$nobody>
    TenantCorsOrigins none
</VirtualHost>
CONF
$httpd->start;
my $port = $httpd->port;

my $app = 'https://app.example.com';
my @origin = (Origin => $app);
my @asks = (@origin, 'Access-Control-Request-Method' => 'POST');
my @bearer = (Authorization => bearer(org => 1, user => 2));

sub cors { my $header = shift->{header}; return join ' ', sort grep { /^access-control-/ } keys %$header }

sub vary { my $vary = shift->{header}{vary} // ''; return join ' ', sort map { lc } split /\s*,\s*/, $vary }

my @protocols = (['HTTP/1.1', \&request], has_h2() ? ['h2c', \&h2] : ());
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;

    # preflights: of what is secured, rewritten, redirected, forbidden, proxied, absent, a poll
    for my $path (qw(/api/page.html /rt/a/subscribe /moved /forbidden /pretty /rewritten-away/x /e301 /e410 /backend/x
                     /nobackend/x /cached/page.html /nothing /)) {
        my $got = $ask->($port, "OPTIONS $path", @asks, 'Access-Control-Request-Headers' => 'authorization, content-type, x-evil');
        is $got->{status}, 204, "$name preflight of $path: 204";
        is $got->{body}, '', 'without a body';
        is $got->{header}{'access-control-allow-origin'}, $app, 'for its origin';
        is $got->{header}{'access-control-allow-credentials'}, 'true', 'with credentials';
        is $got->{header}{'access-control-allow-methods'}, 'GET, HEAD, POST, PUT, PATCH, DELETE', 'the methods';
        is $got->{header}{'access-control-allow-headers'}, 'Authorization, Content-Type', 'of the headers those that are allowed';
        is $got->{header}{'access-control-max-age'}, 7200, 'for two hours';
        is vary($got), 'access-control-request-headers access-control-request-method origin', 'and what it depends on';
        ok !grep({ defined $got->{header}{$_} } qw(location www-authenticate access-control-expose-headers content-type allow)), 'and nothing else';
        like $got->{header}{'x-request-id'}, qr/^[\w-]{22}$/, 'but its id';
    }
    unlike reached(), qr/OPTIONS/, "$name: no preflight reached the backend";

    # what is no preflight goes on to whoever serves it
    is $ask->($port, 'OPTIONS /api/page.html', @origin)->{status}, 401, "$name: OPTIONS without a method asked for goes on";
    is $ask->($port, 'OPTIONS /api/page.html', 'Access-Control-Request-Method' => 'GET')->{status}, 401, 'so does one without an origin';
    is $ask->($port, 'GET /api/page.html', @asks)->{status}, 401, 'and what is no OPTIONS';
    my $options = $ask->($port, 'OPTIONS /public/page.html', @origin, @bearer);
    is $options->{status}, 200, 'a handler answers OPTIONS itself';
    like $options->{header}{allow} // '', qr/GET/, 'with what it allows';
    is $options->{header}{'access-control-allow-origin'}, '*', 'and CORS headers, as any other';

    # every answer: what, path, status, Vary, more fields
    my @rows = (
        ['a page',             'GET /api/page.html',     200, 'origin', @bearer],
        ['its head',           'HEAD /api/page.html',    200, 'origin', @bearer],
        ['a 304',              'GET /api/page.html',     304, 'origin', @bearer, 'If-None-Match' => '*'],
        ['a part',             'GET /api/page.html',     206, 'origin', @bearer, Range => 'bytes=0-3'],
        ['no range',           'GET /api/page.html',     416, 'origin', @bearer, Range => 'bytes=9000-'],
        ['a precondition',     'GET /api/page.html',     412, 'origin', @bearer, 'If-Match' => '"x"'],
        ['no token',           'GET /api/page.html',     401, 'origin'],
        ['a wrong one',        'POST /api/page.html',    401, 'origin', Authorization => 'Bearer x'],
        ['a problem',          'GET /api/nothing',       404, 'origin', @bearer],
        ['an error page',      'GET /nothing',           404, 'origin'],
        ['a rule that forbids', 'GET /forbidden',        403, 'origin'],
        ['a rule that moves',  'GET /moved',             302, 'origin'],
        ['a redirect',         'GET /e301',              301, 'origin'],
        ['an error document',  'GET /e410',              410, 'origin'],
        ['a poll without token', 'GET /rt/a/subscribe?wait=0', 401, 'origin'],
        ['a poll',             'GET /rt/a/subscribe?wait=0', 200, 'origin', @bearer],
        ['a backend',          'GET /backend/x',         200, 'accept origin'],
        ['through a rule',     'GET /rewritten-away/x',  200, 'accept origin'],
        ["a backend's error",  'GET /backend/s500',      500, 'accept origin'],
        ["a backend's 404",    'GET /backend/s404',      404, 'accept origin'],
        ["a backend's redirect", 'GET /backend/s302',    302, 'accept origin'],
        ['no backend',         'GET /nobackend/x',       503, 'origin'],
        ['what is cached',     'GET /cached/page.html',  200, 'origin'],
        ['what was cached',    'GET /cached/page.html',  200, 'origin'],
        ['the same as 304',    'GET /cached/page.html',  304, 'origin', 'If-None-Match' => '*'],
    );
    for (@rows) {
        my ($what, $request, $status, $vary, @fields) = @$_;
        my $got = $ask->($port, $request, @origin, @fields);
        is $got->{status}, $status, "$name $what: $status";
        is $got->{header}{'access-control-allow-origin'}, $app, 'its origin, once';
        is $got->{header}{'access-control-allow-credentials'}, 'true', 'with credentials';
        like $got->{header}{'access-control-expose-headers'}, qr/^X-Total-Count, Allow, ETag, Location, Retry-After\b(?!.*X-Secret)/, 'what it may read';
        is cors($got), 'access-control-allow-credentials access-control-allow-origin access-control-expose-headers', 'and no more of them';
        is vary($got), $vary, 'and on what it depends, each field once';

        my $evil = $ask->($port, $request, Origin => 'https://evil.test', @fields);
        is $evil->{status}, $status, "$name $what of another origin: $status";
        is cors($evil), '', 'no header allows it to be read';
        is vary($evil), $vary, 'but that it depends on the origin';
        my $none = $ask->($port, $request, @fields);
        is cors($none), '', "$name $what without an origin: none either";
        is vary($none), $vary, 'but the same Vary';
    }

    # origins: listed, or nothing
    my @yes = ($app, 'http://localhost:5173', 'https://a.tenants.example.com', 'https://x-1.tenants.example.com');
    my @no = ('https://evil.test', 'null', '*', '', 'http://app.example.com', 'https://app.example.com:443', 'https://app.example.com:8443',
        'https://app.example.com.evil.test', 'https://evilapp.example.com', 'https://app.example.com/', 'https://app.example.com, https://evil.test',
        'HTTPS://APP.EXAMPLE.COM', 'https://App.example.com', 'http://localhost', 'http://localhost:51730', 'https://tenants.example.com',
        'https://a.b.tenants.example.com', 'https://a.tenants.example.com.evil.test', 'http://a.tenants.example.com',
        'https://a.tenants.example.com:1', 'https://eviltenants.example.com', 'https://' . 'a' x 300 . '.tenants.example.com');
    for my $origin (@yes, @no) {
        my $listed = grep { $_ eq $origin } @yes;
        my $shown = substr $origin, 0, 60;
        # curl sends an empty field when it is written with a semicolon only
        next if $origin eq '' && $name eq 'h2c';
        my $pre = $ask->($port, 'OPTIONS /api/page.html', Origin => $origin, 'Access-Control-Request-Method' => 'GET');
        is $pre->{status}, 204, "$name preflight of \"$shown\": 204";
        is $pre->{header}{'access-control-allow-origin'}, $listed ? $origin : undef, $listed ? 'it is listed' : 'it is not listed';
        is cors($pre), '', 'so it is told nothing' if !$listed;
        is vary($pre), 'access-control-request-headers access-control-request-method origin', 'the same Vary';
        my $got = $ask->($port, 'GET /api/page.html', Origin => $origin);
        is $got->{header}{'access-control-allow-origin'}, $listed ? $origin : undef, 'and neither by an answer' if !$listed;
    }

    # sections: everybody without credentials, null where it is named, rules of its own, none
    my $star = $ask->($port, 'OPTIONS /public/page.html', Origin => 'https://any.test', 'Access-Control-Request-Method' => 'GET');
    is $star->{header}{'access-control-allow-origin'}, '*', "$name: a star is for everybody";
    is $star->{header}{'access-control-allow-credentials'}, undef, 'without credentials';
    is $ask->($port, 'GET /public/page.html', Origin => 'null')->{header}{'access-control-allow-origin'}, undef, 'but not for null';
    my $inherited = $ask->($port, 'GET /starred/x', @origin);
    is $inherited->{header}{'access-control-allow-origin'}, '*', 'a star in a section';
    is $inherited->{header}{'access-control-allow-credentials'}, undef, 'has no credentials from around it';
    is $ask->($port, 'GET /named/x', Origin => 'null')->{header}{'access-control-allow-origin'}, 'null', 'null where it is named';
    my $named = $ask->($port, 'OPTIONS /named/x', @asks, 'Access-Control-Request-Headers' => 'x-two,X-THREE,  x-One , authorization, x-one');
    is $named->{header}{'access-control-allow-methods'}, 'GET, PUT', 'methods of its own';
    is $named->{header}{'access-control-allow-headers'}, 'X-One, X-Two', 'headers of its own, each once, whole names only';
    is $named->{header}{'access-control-max-age'}, 60, 'and its age';
    is $named->{header}{'access-control-allow-credentials'}, undef, 'and no credentials';
    is $ask->($port, 'OPTIONS /named/x', @asks, 'Access-Control-Request-Headers' => 'x-on, x-ones, x one, content')->{header}{'access-control-allow-headers'},
        undef, 'no parts of names';
    is $ask->($port, 'OPTIONS /named/x', @asks)->{header}{'access-control-allow-headers'}, undef, 'no header asked for, none allowed';
    my $many = $ask->($port, 'OPTIONS /named/x', @asks, 'Access-Control-Request-Headers' => join ',', (map { "x-$_" } 1 .. 1000), 'x-two');
    is $many->{header}{'access-control-allow-headers'}, 'X-Two', 'one of a thousand';
    my $off = $ask->($port, 'OPTIONS /off/page.html', @asks);
    is $off->{status}, 200, 'none: a preflight goes on';
    is cors($off) . vary($off), '', 'and nothing is said';
    is vary($ask->($port, 'GET /off/page.html', @origin)), '', 'nor otherwise';
    # a URL keeps its rules wherever httpd takes it
    is $ask->($port, 'GET /pretty', @origin)->{header}{'access-control-allow-origin'}, $app, 'a rewritten URL has its own rules';
    is $ask->($plain, 'GET /site/page.html', @origin)->{header}{'access-control-allow-origin'}, $app, 'a location alone';
    is vary($ask->($plain, 'GET /index.html', @origin)), '', 'changes nothing around it';
    is $ask->($nobody, 'OPTIONS /index.html', @asks)->{status}, 200, 'a server without CORS answers OPTIONS as before';
}
is cors(Http::parse(exchange($port, "GET /bad header\r\nOrigin: $app\r\n\r\n"))) , '', 'what can\'t be read says nothing';
is vary(Http::parse(exchange($port, "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n"))), 'origin', 'but what it depends on';

# the cache is the same for all origins, and keeps nothing of one
for my $origin ($app, 'http://localhost:5173', 'https://evil.test', $app) {
    my $got = request($port, 'GET /cached/page.html', Origin => $origin);
    like $got->{header}{'x-cache'}, qr/^HIT\b/, 'a page of the cache';
    is $got->{header}{'access-control-allow-origin'}, $origin =~ /evil/ ? undef : $origin, "from the cache: $origin";
}

# a preflight is not read on for a body, and the request behind one is its own
my $body = exchange($port, "OPTIONS /api/x HTTP/1.1\r\nHost: x\r\nOrigin: $app\r\nAccess-Control-Request-Method: PUT\r\n"
    . "Expect: 100-continue\r\nContent-Length: 100\r\n\r\nGET /public/page.html HTTP/1.1\r\nHost: x\r\n\r\n");
like $body, qr/^HTTP\/1\.1 204 /, 'a preflight with a body is answered, and the body is not asked for';
is scalar(() = $body =~ /^HTTP/mg), 1, 'nor taken for a request';
my $two = exchange($port, "OPTIONS /api/x HTTP/1.1\r\nHost: x\r\nOrigin: $app\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
    . "GET /public/page.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
like $two, qr/^HTTP\/1\.1 204 .*^HTTP\/1\.1 200 /ms, 'the next request on its connection is answered';

# a parked poll's answer is written by other means
$Rt::address = "127.0.0.1:$port";
for my $query ('wait=0', 'wait=1') {
    my $got = Rt::answer(Rt::poll('a', $bearer[1], $query, @origin));
    is $got->{status}, 200, "a poll, $query";
    is scalar(() = $got->{head} =~ /^Access-Control-Allow-Origin: \Q$app\E\r$/mg), 1, 'is for its origin';
}

# what the modules send is what pages may read
my %sent = map { $_ => 1 } map { slurp($_) =~ /apr_table_(?:add|merge|set)n?\(\s*r->(?:err_)?headers_out,\s*"([\w-]+)"/g } files('modules', qr/\.c$/);
my %hidden = map { $_ => 1 } @{ slurp('modules/rest/rest_fields.h') =~ /("X-Org-Key".*?)\n\n/s ? [$1 =~ /"([\w-]+)"/g] : [] };
my $exposed = request($port, 'GET /api/page.html', @origin)->{header}{'access-control-expose-headers'};
for my $header (grep { !$hidden{$_} && !/^(?:Cache-Control|Content-Length|Content-Type|Last-Modified|Vary)$/ } sort keys %sent) {
    like $exposed, qr/(?:^|, )\Q$header\E(?:,|$)/, "pages may read $header, which a module sends";
}
cmp_ok scalar keys %sent, '>', 6, 'the sources say what is sent';
is scalar(() = $exposed =~ /Retry-After/g), 1, 'each once';
my ($status) = $httpd->stop;
is $status, 0, 'the server ends well';

# rules in a <Directory> are those of files: known a little later
$httpd->configure(lines => <<"CONF");
TenantCorsOrigins https://other.example.com
Alias /site $stage/t/tenant/docs
RewriteEngine on
RewriteRule ^/moved\$ /site/page.html [PT]
<Directory $stage/t/tenant/docs>
    TenantCorsOrigins $app
    Require valid-user
</Directory>
CONF
$httpd->start;
for my $path (qw(/site/page.html /moved)) {
    my $got = request($port, "OPTIONS $path", @asks);
    is $got->{status}, 204, "a preflight of a directory: $path";
    is $got->{header}{'access-control-allow-origin'}, $app, 'by its rules';
}
is cors(request($port, 'OPTIONS /index.html', @asks)), '', 'and not elsewhere';
done_testing;
