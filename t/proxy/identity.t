# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# TenantForward: a backend is told who calls, by headers that nobody else can set, whatever a client
# sends, in whatever spelling, and wherever it asks.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::Bin/../tenant", "$ENV{TEST_STAGE}/t/lib";
use Http;
use JSON::PP qw(decode_json);
use My::Backend;
use My::Server;
use My::Token qw(bearer);
use Test::More;

my $conf = My::Token::dir();
my $h2c = has_h2() ? "Protocols h2c http/1.1\n" : '';
my $edge = My::Server::free_port();
my $backend = My::Backend->new('identity');
my $to = 'http://127.0.0.1:' . $backend->port . '/';
my $httpd = My::Server->new('identity');
my $site = <<"CONF";
<LocationMatch "^/(all|some|named|none|twice|bare|role)/">
    AuthType       TenantJWT
    TenantJWKS     file:$conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    TenantForward  org
    TenantForward  user
</LocationMatch>
<Location /all/>
    ProxyPass $to
    TenantForward role
    TenantForward properties
    TenantForward session
    TenantForward expires
</Location>
<Location /some/>
    ProxyPass $to
    RequestHeader unset Authorization
</Location>
<Location /named/>
    ProxyPass $to
    TenantForward user Remote-User
    TenantForward org X-Account
</Location>
<Location /none/>
    ProxyPass $to
    TenantForward none
</Location>
<Location /open/>
    ProxyPass $to
    TenantForward org
    TenantForward user
</Location>
RewriteEngine on
RewriteRule ^/through/(.*) $to\$1 [P]
CONF
$httpd->configure(lines => <<"CONF");
LogLevel authz_core:crit
$h2c
$site
Listen 127.0.0.1:$edge
<VirtualHost 127.0.0.1:$edge>
    TenantTrustedEdge 127.0.0.1
    $site
</VirtualHost>
CONF
$httpd->start;
my $port = $httpd->port;
my $ttl = 300;
my @bearer = (Authorization => bearer(org => 7, user => 31, role => 'manager', properties => [9, 8, 10], session => 's-1'));
my @owner = (Authorization => bearer(org => 7, user => 32));
my @admin = (Authorization => bearer(org => undef, user => 33, role => 'admin'));

# What the backend got under a name, joined; undef: nothing
sub seen {
    my $answer = shift;
    return {} if $answer->{status} != 200;
    my $headers = decode_json($answer->{body})->{headers};
    return { map { $_ => join '|', @{ $headers->{$_} } } keys %$headers };
}

my @names = qw(x-org-id x-user-id x-user-role x-user-properties x-user-session x-user-expires remote-user x-account);
sub told { my $seen = seen(shift); return join ' ', map { defined $seen->{$_} ? "$_=$seen->{$_}" : () } @_ }

my @protocols = (['HTTP/1.1', \&request], has_h2() ? ['h2c', \&h2] : ());
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    for my $face ($port, $edge) {
        my $all = seen($ask->($face, 'GET /all/who', @bearer));
        is join(' ', map { $all->{$_} // '-' } @names[0 .. 4]), '7 31 manager 8,9,10 s-1', "$name: all is told";
        cmp_ok abs($all->{'x-user-expires'} - time - $ttl), '<', 60, 'and when it ends';
        is told($ask->($face, 'GET /all/who', @owner), @names[0 .. 3]), 'x-org-id=7 x-user-id=32 x-user-role=owner x-user-properties=*', 'all properties';
        is told($ask->($face, 'GET /all/who', @admin), @names[0 .. 3]), 'x-user-id=33 x-user-role=admin x-user-properties=', 'nobody has no organisation';
        my $some = $ask->($face, 'GET /some/who', @bearer);
        is told($some, @names), 'x-org-id=7 x-user-id=31', 'no more than is said';
        is seen($some)->{authorization}, undef, 'the token can be kept back';
        like seen($ask->($face, 'GET /all/who', @bearer))->{authorization}, qr/^Bearer ey/, 'and is not by itself';
        is told($ask->($face, 'GET /named/who', @bearer), @names), 'remote-user=31 x-account=7', 'names of the backend\'s own';
        is told($ask->($face, 'GET /none/who', @bearer), @names), '', 'none takes back what is around it';
        is told($ask->($face, 'GET /open/who', @bearer), @names), '', 'nobody verified, nothing told';

        # forged copies: every name, spelling, location; with and without a caller
        for my $forged (qw(X-Org-Id x-org-id X_Org_Id X-User-Id x_user_id X.User.Id X-User-Role X-User-Properties X-User-Session
                           X-User-Expires Remote-User REMOTE_USER remote.user X-Account x_account)) {
            for my $path (qw(/all /some /named /none /open /through)) {
                my $got = $ask->($face, "GET $path/who", @bearer, $forged => 'forged-1', $forged => 'forged-2');
                is $got->{status}, 200, "$name $path $forged: served";
                unlike $got->{body}, qr/forged/, 'but the backend sees nothing of it';
            }
        }
    }
}
is told(request($port, 'GET /all/who', @bearer, Connection => 'X-Org-Id, X-User-Id, Remote-User'), @names[0, 1]), 'x-org-id=7 x-user-id=31',
    'Connection can not take them away';
is request($port, 'GET /all/who')->{status}, 401, 'without a token nothing is forwarded';
my $id = request($port, 'GET /some/who', @bearer);
is seen($id)->{'x-request-id'}, $id->{header}{'x-request-id'}, 'the backend has the id that the client gets';
for my $similar (qw(X-User-Ids X-User X-Org Remote-Users)) {
    is seen(request($port, 'GET /all/who', @bearer, $similar => 'kept'))->{lc $similar}, 'kept', "$similar is nobody's and stays";
}
done_testing;
