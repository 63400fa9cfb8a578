# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Wrong values stop the config test, with a sentence that says what was expected.
use strict;
use warnings FATAL => 'all';

use File::Temp qw(tempdir);
use lib "$ENV{TEST_STAGE}/t/lib";
use My::ConfigTest qw(config_test);
use My::Token;
use Test::More;

my $dir = tempdir(CLEANUP => 1);
my $conf = My::Token::dir();
my $good = "TenantJWKS file:$conf/jwks.json\nTenantIssuer i\nTenantAudience a\n";
My::Token::spew("$dir/short", "0123456789012345678901234567890\n");
My::Token::spew("$dir/long", 'x' x 5000);
My::Token::spew("$dir/empty.json", '{"keys":[]}');
my $vhosts = sub { join '', map { "<VirtualHost 127.0.0.1:$_->[0]>\nServerName $_->[1]\n$_->[2]\n</VirtualHost>\n" } @_ };

my @wrong = (
    ["TenantJWKS $conf/jwks.json",                  qr/TenantJWKS: expected file:PATH/],
    ['TenantJWKS file:',                            qr/TenantJWKS: expected file:PATH/],
    ['TenantJWKS https://x/jwks.json',              qr/TenantJWKS: expected file:PATH/],
    ["TenantJWKS file:$dir/none",                   qr/TenantJWKS: .*none: No such file/],
    ["TenantJWKS file:$dir/short",                  qr/TenantJWKS: .*short: not valid JSON|expected a JWKS/],
    ["TenantJWKS file:$dir/empty.json",             qr/it has no key that verifies/],
    ["TenantSecret s file:$dir/short",              qr/expected a secret of at least 32 bytes, not 31/],
    ["TenantSecret s file:$dir/long",               qr/expected at most 4096 bytes/],
    ["TenantSecret s file:/dev/null",               qr/at least 32 bytes, not 0/],
    ["TenantSecret s file:$conf/hs256.secret RS256", qr/expected HS256, HS384 or HS512/],
    ["TenantSecret s file:$conf/hs256.secret\nTenantSecret s file:$conf/hs256.secret", qr/a secret named "s" already/],
    ['TenantIssuer ""',                             qr/TenantIssuer takes one argument/],
    ['TenantAudience ""',                           qr/TenantAudience requires at least one/],
    ['TenantClaim company x',                       qr/TenantClaim: expected org, user/],
    ['TenantClaim org ""',                          qr/TenantClaim takes two arguments/],
    ['TenantAllPropertiesRoles "a b"',              qr/TenantAllPropertiesRoles: expected/],
    (map { ["Tenant$_ \"%{nosuch}\"", qr/Tenant$_: expected an expression such as "%\{env:OAUTH2_CLAIM_x\}", not "%\{nosuch\}"/],
           ["Tenant$_ \"\"", qr/Tenant$_ takes one argument/] } qw(Org User Role Properties Expires)),
    ["TenantOrg 1", qr/OG1016: TenantOrg without TenantUser/],
    ['TenantProblem perhaps',                       qr/TenantProblem must be On or Off/],
    ['TenantProblemBase problems',                  qr/TenantProblemBase: expected/],
    ['TenantProblemBase "/a b/"',                   qr/TenantProblemBase: expected/],
    (map { ["TenantMaxBody $_", qr/TenantMaxBody: expected a size/] }
        qw(0 -1 300x 1e3 9223372036854775808 99999999G), '" 5"'),
    (map { ["TenantCorsOrigins $_", qr/TenantCorsOrigins: expected scheme:\/\/host\[:port\] without a path.*, not "/] }
        qw(app.example.com https://app.example.com/ https://app.example.com/x https://*.com https://*app.example.com
           https://app.*.example.com https://app.example.com:0 https://app.example.com:65536 //app.example.com https:// file:///),
        '"https://a b"', 'https://' . 'a' x 400),
    ['TenantCorsOrigins ' . join(' ', map { "https://h$_.test" } 1 .. 257), qr/TenantCorsOrigins: expected at most 256 origins, not "https:\/\/h257\.test" as well/],
    (map { ["TenantCorsMethods $_", qr/TenantCorsMethods: expected methods such as GET, not "/] } qw(get FROB *), "GET,POST", '"G T"'),
    (map { ["TenantCorsHeaders $_", qr/TenantCorsHeaders: expected names of request headers, not "/] } qw(* a: X@Y), "a,b", '"a b"', 'x' x 65),
    ['TenantCorsHeaders ' . join(' ', map { "X-$_" } 1 .. 65), qr/TenantCorsHeaders: expected at most 64 names, not "X-65" as well/],
    (map { ["TenantCorsExpose $_", qr/TenantCorsExpose: expected names of response headers, not "/] } qw(* a:), "a,b", 'x' x 65),
    (map { ["TenantCorsMaxAge $_", qr/TenantCorsMaxAge: expected/] } qw(-1 86401 2h 1e3 9223372036854775808 x), '" 5"'),
    ['TenantCorsCredentials perhaps',               qr/TenantCorsCredentials must be On or Off/],
    (map { ["TenantCorsOrigins $_\nTenantCorsCredentials on", qr/TenantCorsCredentials: expected origins with names beside it/],
           ["TenantCorsCredentials on\nTenantCorsOrigins https://a.test $_", qr/TenantCorsCredentials: expected origins with names beside it/] } qw(* null)),
    (map { ["TenantForward $_", qr/TenantForward: expected org, user, role, properties, session or expires/] } 'email', 'Org', 'none X-A'),
    (map { ["TenantForward org $_", qr/TenantForward: expected the name of a header that no client needs to send, not "/] }
        qw(Host host Authorization Content-Length content_length If-Match Accept Origin X-Request-Id a: X@Y), '"a b"', 'x' x 65),
    ["TenantKeySecret file:$dir/short",             qr/TenantKeySecret: .*at least 32 bytes, not 31/],
    ["TenantKeySecret file:$conf/hs256.secret file:$dir/short", qr/at least 32 bytes/],
    ["TenantKeySecret secret",                      qr/expected file:PATH/],
    ['TenantTrustedEdge edge.example.com',          qr/TenantTrustedEdge: expected an address/],
    ['TenantTrustedEdge 10.0.0.0/33',               qr/TenantTrustedEdge: expected an address/],
    ['TenantTrustedEdge 10.0.0.256',                qr/TenantTrustedEdge: expected an address/],
    ['<Location /x>' . "\nTenantTrustedEdge 10.0.0.1\n</Location>", qr/TenantTrustedEdge not allowed here|not allowed in/],
    (map { ["TenantRevocations $_", qr/TenantRevocations: expected a whole number from 16 to 200000, not "/] }
        qw(0 -1 15 200001 1e3 16x 9223372036854775808), '" 16"'),
    (map { ["TenantRevocationLife $_", qr/TenantRevocationLife: expected /] }
        qw(0 -1 500ms 367d 1e3 1y 9223372036854775808), '" 5"'),
    (map { [$vhosts->([1, 'a', "$_ 60"]), qr/$_ cannot occur within <VirtualHost>/] } qw(TenantRevocations TenantRevocationLife)),
    ["<Location /x>\nTenantRevocations 16\n</Location>", qr/TenantRevocations not allowed here|not allowed in/],
    ["<Location /x>\nRequire tenant-org 07\n</Location>", qr/Require tenant-org: expected ids/],
    ["<Location /x>\nRequire tenant-role\n</Location>", qr/expected at least one role/],
    ["<Location /x>\nRequire tenant-role a,b\n</Location>", qr/expected names of roles/],
    ["<Location /x>\nRequire tenant-property \"%{nosuch}\"\n</Location>", qr/expected an expression/],
    [$vhosts->([1, 'a', 'TenantTrustedEdge 10.0.0.1'], [1, 'b', 'TenantTrustedEdge 10.0.0.2']),
        qr/share 127\.0\.0\.1:1 but trust different edges/],
    [$vhosts->([1, 'a', 'TenantTrustedEdge 10.0.0.1'], [1, 'b', '']), qr/trust different edges/],
);
my @right = (
    $good,
    "TenantKeySecret file:$conf/hs256.secret file:$conf/hs384.secret\n$good",
    "TenantMaxBody 64K\nTenantAllPropertiesRoles none\nTenantProblemBase https://x.test/p/\n",
    join('', map { "Tenant$_ \"%{env:X_$_}\"\n" } qw(Org User Role Properties Expires)),
    "TenantRevocations 16\nTenantRevocationLife 1s",
    "TenantRevocations 200000\nTenantRevocationLife 366d",
    'TenantTrustedEdge 10.0.0.1 10.1.0.0/16 fd00::/8 ::1',
    "TenantForward org\nTenantForward user Remote-User\nTenantForward role\nTenantForward properties\nTenantForward session\n"
        . "TenantForward expires\n<Location /x>\nTenantForward none\n</Location>",
    "TenantCorsOrigins https://app.example.com http://localhost:5173 https://*.example.com:8443 null\nTenantCorsMethods GET POST\n"
        . "TenantCorsHeaders X-A Content-Type\nTenantCorsExpose X-B\nTenantCorsMaxAge 0\nTenantCorsCredentials off",
    'TenantCorsOrigins none',
    "TenantCorsOrigins *\n<Location /x>\nTenantCorsOrigins https://a.test\nTenantCorsCredentials on\n</Location>",
    "<Directory /x>\nTenantCorsOrigins https://a.test http://[::1]:3000\n</Directory>",
    $vhosts->([1, 'a', 'TenantTrustedEdge 10.0.0.1 10.0.0.2'], [1, 'b', 'TenantTrustedEdge 10.0.0.2 10.0.0.1']),
    $vhosts->([1, 'a', 'TenantTrustedEdge 10.0.0.1'], [2, 'b', 'TenantTrustedEdge none']),
    $vhosts->([1, 'a', ''], [1, 'b', 'TenantTrustedEdge none']),
);
plan tests => 2 * @wrong + 2 * @right + 2;

for (@wrong) {
    my ($lines, $sentence) = @$_;
    my ($accepted, $said) = config_test($lines);
    my $what = $lines =~ s/\n/ | /gr;
    ok !$accepted, "$what: refused";
    like $said, $sentence, "$what: and why";
}
for my $lines (@right) {
    my ($accepted, $said) = config_test($lines);
    my $what = $lines =~ s/\n/ | /gr;
    ok $accepted, "$what: accepted";
    like $said, qr/Syntax OK/, "$what: and said so";
}
like +(config_test($good))[1], qr/OG1004.*TenantKeySecret/, 'unkeyed partition keys are warned of';
unlike +(config_test("TenantKeySecret file:$conf/hs256.secret\n$good"))[1], qr/OG1004/, 'keyed ones are not';
