# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Wrong tokens over HTTP: 401, the reason, the challenge; right ones of every algorithm: 200.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use Http;
use My::Token qw(bearer claims sign sign_text token b64 json);
use Test::More;

my $port = port_of('tenant_client');
my $page = 'GET /secured/page.html';
my $good = token();
my ($head, $body, $sign) = split /\./, $good;
my $now = time;
my $text = json(claims());

sub of { return sign('EdDSA', claims(@_)) }                                  # of these claims
sub headed { return sign('EdDSA', claims(), header => { @_ }) }              # with these header members
sub written { return sign_text(json({ alg => 'EdDSA', kid => 'EdDSA' }), shift, 'EdDSA') }

my $jwks = json({ keys => [My::Token::jwk('RS256', My::Token::key_file('RS256'))] });
my $pem = My::Token::openssl('pkey', '-in', My::Token::key_file('RS256'), '-pubout');
my $der = My::Token::openssl('pkey', '-in', My::Token::key_file('RS256'), '-pubout', '-outform', 'DER');

# what, its token, why not
my @wrong = (
    ['none',                        b64('{"alg":"none"}') . ".$body.",          'algorithm'],
    ['none with a kid',             headed(alg => 'none'),                      'algorithm'],
    ['None',                        headed(alg => 'None'),                      'algorithm'],
    ['an empty alg',                headed(alg => ''),                          'algorithm'],
    ['no alg',                      headed(alg => undef),                       'algorithm'],
    ['a number for alg',            headed(alg => 7),                           'algorithm'],
    ['a list for alg',              headed(alg => ['EdDSA']),                   'algorithm'],
    ['a key of another algorithm',  headed(kid => 'ES256'),                     'algorithm'],
    ['HS256 with the PEM',          sign('HS256', claims(), header => { kid => 'RS256' }, key => $pem), 'algorithm'],
    ['HS256 with the DER',          sign('HS256', claims(), header => { kid => 'RS256' }, key => $der), 'algorithm'],
    ['HS256 with the JWKS',         sign('HS256', claims(), header => { kid => 'RS256' }, key => $jwks), 'algorithm'],
    ['HS256 with nothing',          sign('HS256', claims(), header => { kid => 'RS256' }, key => ''), 'algorithm'],
    ['HS256 without a secret here', sign('HS256', claims()),                    'key'],
    ['PS256 with RS256\'s key',     sign('PS256', claims(), header => { kid => 'RS256' }), 'algorithm'],
    ['RS256 padding as PS256',      sign('PS256', claims(), signs => 'RS256'),  'signature'],
    ['another digest',              sign('RS384', claims(), signs => 'RS256'),  'signature'],
    ['no kid',                      headed(kid => undef),                       'key'],
    ['an unknown kid',              headed(kid => 'x'),                         'key'],
    ['a path as kid',               headed(kid => '../../dev/null'),            'key'],
    ['a file as kid',               headed(kid => '/proc/self/environ'),        'key'],
    ['SQL as kid',                  headed(kid => "' UNION SELECT 'x' --"),     'key'],
    ['CRLF in kid',                 headed(kid => "EdDSA\r\nX-Org-Key: 1"),     'key'],
    ['a number for kid',            headed(kid => 1),                           'key'],
    ['NUL in kid',                  sign_text('{"alg":"EdDSA","kid":"EdDSA\u0000"}', $text, 'EdDSA'), 'malformed'],
    ['kid twice',                   sign_text('{"alg":"EdDSA","kid":"x","kid":"EdDSA"}', $text, 'EdDSA'), 'malformed'],
    ['crit',                        headed(crit => ['exp']),                    'malformed'],
    ['b64',                         headed(b64 => JSON::PP::false()),           'malformed'],
    ['jwk',                         headed(jwk => { kty => 'oct', k => 'AA' }), 'malformed'],
    ['jku',                         headed(jku => "http://127.0.0.1:$port/"),   'malformed'],
    ['x5u',                         headed(x5u => "http://127.0.0.1:$port/"),   'malformed'],
    ['x5c',                         headed(x5c => ['AA']),                      'malformed'],
    ['typ of something else',       headed(typ => 'id_token'),                  'malformed'],
    ['no JSON in the header',       sign_text('alg=EdDSA', $text, 'EdDSA'),     'malformed'],
    ['one segment',                 $head,                                      'malformed'],
    ['two segments',                "$head.$body",                              'malformed'],
    ['five segments',               "$good.AA.AA",                              'malformed'],
    ['padding in the header',       "$head=.$body.$sign",                       'malformed'],
    ['padding in the signature',    "$good==",                                  'signature'],
    ['another\'s signature',        "$head.$body." . (split /\./, of(sub => 3))[2], 'signature'],
    ['no signature',                "$head.$body.",                             'signature'],
    ['a changed payload',           "$head." . b64(json(claims(orgId => '2'))) . ".$sign", 'signature'],
    ['a short signature',           substr($good, 0, -2),                       'signature'],
    ['an ES256 signature of 5000',  join('.', (split /\./, sign('ES256', claims()))[0, 1], 'A' x 5000), 'signature'],
    ['more than 8 KB',              of(x => 'x' x 6200),                        'malformed'],
    ['another issuer',              of(iss => 'https://issuer.test.evil'),      'issuer'],
    ['no issuer',                   of(iss => undef),                           'issuer'],
    ['another audience',            of(aud => 'orgscale2'),                     'audience'],
    ['no audience',                 of(aud => undef),                           'audience'],
    ['a number among audiences',    of(aud => ['orgscale', 1]),                 'audience'],
    ['expired a second ago',        of(exp => $now - 1),                        'expired'],
    ['expired in 1970',             of(exp => 0),                               'expired'],
    ['no exp',                      of(exp => undef),                           'claims'],
    ['a text for exp',              of(exp => '' . ($now + 300)),               'claims'],
    ['negative exp',                of(exp => -1),                              'claims'],
    ['exp of 1e300',                written('{"iss":"https://issuer.test","aud":"orgscale","exp":1e300,"sub":"1","orgId":"1","role":"owner"}'), 'claims'],
    ['exp of 2^63',                 written('{"iss":"https://issuer.test","aud":"orgscale","exp":9223372036854775808,"sub":"1","orgId":"1","role":"owner"}'), 'malformed'],
    ['exp twice',                   written(substr($text, 0, -1) . ',"exp":9999999999}'), 'malformed'],
    ['nbf in a minute',             of(nbf => $now + 60),                       'not_yet_valid'],
    ['iat in a minute',             of(iat => $now + 60),                       'not_yet_valid'],
    ['no org',                      of(orgId => undef),                         'claims'],
    ['org 007',                     of(orgId => '007'),                         'claims'],
    ['org "7 "',                    of(orgId => '7 '),                          'claims'],
    ['two orgs',                    of(orgId => [1, 2]),                        'claims'],
    ['org 2^53',                    of(orgId => 9007199254740992),              'claims'],
    ['a full-width digit as org',   of(orgId => "\x{ff17}"),                    'claims'],
    ['no user',                     of(sub => undef),                           'claims'],
    ['a name as user',              of(sub => 'root'),                          'claims'],
    ['no role',                     of(role => undef),                          'claims'],
    ['properties that are no list', of(properties => '1,2'),                    'claims'],
    ['a property that is no id',    of(properties => [1, '1 or 1=1']),          'claims'],
);

# what, the Authorization field
my @fields = (
    ['no field',                    undef,                                      'missing'],
    ['Basic',                       'Basic dGVzdDp0ZXN0',                       'missing'],
    ['a scheme like ours',          "Bearerx $good",                            'missing'],
    ['no token',                    'Bearer',                                   'malformed'],
    ['two tokens',                  "Bearer $good $good",                       'malformed'],
    ['a list of tokens',            "Bearer $good, Bearer $good",               'malformed'],
    ['a token in quotes',           "Bearer \"$good\"",                         'malformed'],
);

my @algs = @My::Token::PUBLIC;
plan tests => 5 * @wrong + 3 * @fields + @algs + 9;

for my $alg (@algs) {
    my $answer = request($port, $page, Authorization => 'Bearer ' . token(alg => $alg));
    is $answer->{status}, 200, "$alg is accepted";
}
for (@wrong) {
    my ($what, $token, $reason) = @$_;
    my $answer = request($port, $page, Authorization => "Bearer $token");
    my $problem = problem($answer);
    is $answer->{status}, 401, "$what: refused";
    is $problem->{details}{reason}, $reason, "$what: for its reason";
    is $problem->{code}, 'unauthenticated', "$what: with the code of all of them";
    is $answer->{header}{'www-authenticate'}, 'Bearer error="invalid_token"', "$what: with a challenge";
    unlike $answer->{raw}, qr/page/, "$what: nothing of the page";
}
for (@fields) {
    my ($what, $field, $reason) = @$_;
    my $answer = request($port, $page, defined $field ? (Authorization => $field) : ());
    is $answer->{status}, 401, "$what: refused";
    is problem($answer)->{details}{reason}, $reason, "$what: for its reason";
    is $answer->{header}{'www-authenticate'},
        $reason eq 'missing' ? 'Bearer' : 'Bearer error="invalid_token"', "$what: with a challenge";
}

is request($port, $page, Authorization => "Bearer $good", Authorization => "Bearer $good")->{status}, 401,
    'two Authorization fields are refused, though each is right';
is request($port, "$page?access_token=$good")->{status}, 401, 'a token in the URL is no token';
is request($port, $page, Authorization => "bEARER   $good")->{status}, 200, 'the scheme has no case';
for my $alg (@My::Token::SECRET) {
    is request($port, 'GET /secret/page.html', Authorization => 'Bearer ' . token(alg => $alg))->{status}, 200,
        "$alg is accepted where a secret of its name is";
}
is problem(request($port, 'GET /secret/page.html', Authorization => 'Bearer '
    . sign('HS256', claims(), header => { kid => 'HS512' })))->{details}{reason}, 'algorithm',
    'a secret is pinned to one algorithm';
my $short = token(ttl => 2, user => 77);
is request($port, $page, Authorization => "Bearer $short")->{status}, 200, 'a token is accepted (and remembered)';
my $reason = '';
for (1 .. 100) {
    $reason = problem(request($port, $page, Authorization => "Bearer $short"))->{details}{reason} // '';
    last if $reason;
    select undef, undef, undef, 0.05;
}
is $reason, 'expired', 'until it expires, to the second';
