# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Identities that another module verified: a stock one (Basic), and Debian's mod_oauth2. What it left
# with the request becomes the caller, and everything behind it is as with a token of ours.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use Apache::Test ();
use Digest::SHA qw(hmac_sha256_hex);
use Http;
use MIME::Base64 qw(encode_base64);
use My::Log qw(expect_error);
use My::Server;
use My::Token;
use Test::More;

expect_error('OG1014: TenantOrg without user', 'AH01617');
my $conf = My::Token::dir();
my $stock = My::Server::stock();
my $httpd = My::Server->new('external', realtime => 1);
my $dir = $httpd->dir;
chomp(my $secret = My::Token::slurp("$conf/hs256.secret"));

open my $fh, '>', "$dir/users" or die "users: $!";
print $fh 'someone:', crypt('secret', '$6$salt$'), "\n";
close $fh;

# org.user.role.properties.expires, each may be empty: what a module would have left with the request
my %who = (
    owner => '7.71.owner..', staff => '7.73.staff.5,3.', admin => '.1.admin..', nobody => '7.72.manager..',
    late  => '7.71.owner..' . (time + 3600), gone => '7.71.owner..' . (time - 1), other => '8.81.owner..',
    list  => '7.71.manager.[9,9,1].', quoted => '7.71.manager.["4","2"].', spaced => '7.71.manager.6 2,,1.',
    badorg => '07.71.owner..', noorg => '.71.owner..', neg => '-7.71.owner..', big => '9007199254740992.71.owner..',
    baduser => '7.x.owner..', nouser => '7..owner..', badrole => '7.71.a b..', norole => '7.71...',
    badlist => '7.71.owner.1;2.', zero => '7.71.owner.0.', halflist => '7.71.owner.[1.', badexp => '7.71.owner..soon',
    farexp => '7.71.owner..253402300800', negexp => '7.71.owner..-1', html => '<b>.71.owner..',
    long => '7.71.owner.' . join(',', 1 .. 4097) . '.', most => '7.71.manager.' . join(',', 1 .. 4096) . '.',
);
my $lines = <<"CONF";
LoadModule oauth2_module $stock/mod_oauth2.so
LogLevel oauth2:crit authz_core:crit
TenantKeySecret file:$conf/hs256.secret
TenantTrustedEdge 127.0.0.1
LimitRequestFieldSize 65536
LimitRequestLine 65536
Alias /basic $ENV{TEST_STAGE}/t/htdocs
Alias /oauth2 $ENV{TEST_STAGE}/t/htdocs
Alias /half $ENV{TEST_STAGE}/t/htdocs
Alias /open $ENV{TEST_STAGE}/t/htdocs
Alias /jwt $ENV{TEST_STAGE}/t/htdocs
# in place of a module that knows more than a name: a site must never do this
SetEnvIf X-Who "^([^.]*)\\.([^.]*)\\.([^.]*)\\.([^.]*)\\.(.*)\$" W_ORG=\$1 W_USER=\$2 W_ROLE=\$3 W_PROPERTIES=\$4 W_EXPIRES=\$5
<LocationMatch "^/(basic|half|open)">
    AuthType Basic
    AuthName site
    AuthBasicProvider file
    AuthUserFile $dir/users
    TenantOrg  "%{env:W_ORG}"
    Require valid-user
</LocationMatch>
<LocationMatch "^/(basic|open)">
    TenantUser       "%{env:W_USER}"
    TenantRole       "%{env:W_ROLE}"
    TenantProperties "%{env:W_PROPERTIES}"
    TenantExpires    "%{env:W_EXPIRES}"
</LocationMatch>
<LocationMatch "^/basic/org">
    Require tenant-org 7
</LocationMatch>
<LocationMatch "^/basic/role">
    Require tenant-role owner
</LocationMatch>
<LocationMatch "^/basic/property">
    Require tenant-property
</LocationMatch>
<Location /open>
    Require all granted
</Location>
<Location /oauth2>
    AuthType oauth2
    OAuth2TokenVerify plain $secret verify.iat=skip
    Require tenant-org
    TenantOrg        "%{env:OAUTH2_CLAIM_orgId}"
    TenantUser       "%{env:OAUTH2_CLAIM_sub}"
    TenantRole       "%{env:OAUTH2_CLAIM_role}"
    TenantProperties "%{env:OAUTH2_CLAIM_properties}"
    TenantExpires    "%{env:OAUTH2_CLAIM_exp}"
</Location>
<LocationMatch "^/oauth2/property">
    <RequireAll>
        Require tenant-property
    </RequireAll>
</LocationMatch>
# both sources in one place: AuthType says which
<Location /jwt>
    AuthType       TenantJWT
    TenantJWKS     file:$conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    TenantOrg      8
    TenantUser     1
    TenantRole     owner
    Require        tenant-org 7
</Location>
<Location /rt/b/metrics>
    AuthType Basic
    AuthName site
    AuthBasicProvider file
    AuthUserFile $dir/users
    Require valid-user
    TenantOrg  7
    TenantUser 71
    TenantRole admin
    RealtimeDomain rt_b
    SetHandler realtime-metrics
</Location>
CONF
$httpd->configure(realtime => 1, lines => $lines);
$httpd->start(env => My::Server::without_leak_check(), unwrapped => 1);
my $port = $httpd->port;

sub basic { return (Authorization => 'Basic ' . encode_base64('someone:secret', ''), 'X-Who' => $who{ $_[0] }) }
sub ask { my ($path, @fields) = @_; return request($port, "GET $path", @fields) }
sub key_of { return substr hmac_sha256_hex("org:$_[0]:tenant-isolation-key", $secret), 0, 16 }

my $answer = ask('/basic/index.html', basic('owner'));
is $answer->{status}, 200, 'a user of another module is let in';
is $answer->{header}{'x-org-key'}, key_of(7), 'with the partition of the organisation';
is ask('/basic/index.html', basic('other'))->{header}{'x-org-key'}, key_of(8), 'another one has another';
is ask('/basic/index.html', basic('admin'))->{header}{'x-org-key'}, undef, 'an admin of none has none';

# who may enter: location, user, status
my @doors = (
    ['/basic/org/index.html', 'owner', 404], ['/basic/org/index.html', 'other', 403],
    ['/basic/role', 'owner', 404], ['/basic/role', 'staff', 403], ['/basic/role', 'norole', 401],
    ['/basic/property?propertyId=5', 'staff', 404], ['/basic/property?propertyId=3,5', 'staff', 404],
    ['/basic/property?propertyId=4', 'staff', 403], ['/basic/property?propertyId=4', 'owner', 404],
    ['/basic/property?propertyId=4', 'nobody', 403], ['/basic/property?propertyId=1,9', 'list', 404],
    ['/basic/property?propertyId=2,4', 'quoted', 404], ['/basic/property?propertyId=3', 'quoted', 403],
    ['/basic/property?propertyId=1,2,6', 'spaced', 404], ['/basic/property?propertyId=4096', 'most', 404],
);
for (@doors) {
    my ($path, $user, $status) = @$_;
    my $got = ask($path, basic($user));
    is $got->{status}, $status, "$user at $path: $status";
    is problem($got)->{status}, $status, 'as a problem';
    is $got->{header}{'www-authenticate'}, undef, 'which no other credentials would solve' if $status == 403;
}

# what is no identity
for my $user (qw(badorg noorg neg big baduser nouser badrole norole badlist zero halflist badexp farexp negexp html long)) {
    my $got = ask('/basic/index.html', basic($user));
    is $got->{status}, 401, "$user: 401";
    is problem($got)->{details}{reason}, 'claims', 'for its claims';
    like $got->{header}{'www-authenticate'}, qr/^Basic realm="site"/, 'with the challenge of the module that asked';
    unlike $got->{raw}, qr/<b>/, 'which says nothing of them';
}
is problem(ask('/basic/index.html', basic('gone')))->{details}{reason}, 'expired', 'an identity that has ended';
is ask('/basic/index.html', basic('late'))->{status}, 200, 'one that has not';
is problem(ask('/basic/index.html'))->{details}{reason}, 'missing', 'nobody';
is problem(ask('/basic/index.html', Authorization => 'Basic ' . encode_base64('someone:wrong', '')))->{details}{reason},
    'signature', 'a wrong password';
$answer = ask('/half/index.html', basic('owner'));
is $answer->{status}, 500, 'TenantOrg without TenantUser serves nobody';
is problem($answer)->{code}, 'internal_error', 'as a problem';
$answer = ask('/open/index.html');
is $answer->{status}, 200, 'a location that asks nobody';
is $answer->{header}{'x-org-key'}, undef, 'knows nobody';
$answer = ask('/open/index.html', basic('owner'));
is $answer->{header}{'x-org-key'}, undef, 'whatever is sent there';

# Debian's mod_oauth2 verifies the token; its claims are the caller
sub token {
    my %claims = @_;
    return (Authorization => 'Bearer ' . My::Token::sign('HS256', My::Token::claims(%claims), header => { kid => undef }));
}
$answer = ask('/oauth2/index.html', token(orgId => '7', sub => '71'));
is $answer->{status}, 200, 'mod_oauth2 lets a token in' or diag $httpd->errors;
is $answer->{header}{'x-org-key'}, key_of(7), 'and its claims say whose it is';
is ask('/oauth2/property?propertyId=5', token(orgId => 7, sub => '73', role => 'staff', properties => [3, 5]))->{status}, 404,
    'granted properties come with it';
is ask('/oauth2/property?propertyId=4', token(orgId => 7, sub => '73', role => 'staff', properties => [3, 5]))->{status}, 403,
    'and no others';
is problem(ask('/oauth2/index.html', token(orgId => 'seven')))->{details}{reason}, 'claims', 'an organisation that is none';
is ask('/oauth2/index.html', token(exp => time - 100))->{status}, 401, 'an expired token';
is problem(ask('/oauth2/index.html'))->{details}{reason}, 'missing', 'no token';
my (undef, $bad) = token();
is problem(ask('/oauth2/index.html', Authorization => $bad . 'A'))->{code}, 'unauthenticated', 'a bad one';

# AuthType TenantJWT is its own source, whatever the expressions say
is ask('/jwt/x', Authorization => My::Token::bearer(org => 7))->{status}, 404, 'TenantJWT goes by its token';
is ask('/jwt/x', Authorization => My::Token::bearer(org => 8))->{status}, 403, 'and by nothing else';

# other modules of ours see the same caller
$answer = ask('/rt/b/metrics', basic('owner'));
is $answer->{status}, 200, 'realtime knows the caller';
like $answer->{body}, qr/"orgId":7.*"totals":/, 'as who it is';

is(($httpd->stop)[0], 0, 'and the server ends');
done_testing;
