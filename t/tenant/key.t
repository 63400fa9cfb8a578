# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# GET /v1/tenant/key: a trusted edge learns whose a token is; nobody else does (http-semantics.md 3).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Http;
use My::Token ();
use Test::More;

my ($client, $edge) = map { port_of($_) } qw(tenant_client tenant_edge);
sub by { my %who = @_; return (Authorization => My::Token::bearer(%who)) }

my $res = request($edge, 'GET /v1/tenant/key', by(org => 1, user => 1));
is "$res->{status} $res->{body}", '204 ', 'an edge gets an answer without a body';
like $res->{header}{'x-org-key'}, qr/^[0-9a-f]{16}$/, 'that says whose the token is';
is $res->{header}{'cache-control'}, 'public, max-age=60', 'for a minute';
is $res->{header}{vary}, 'Authorization', 'of this token';
my $key = $res->{header}{'x-org-key'};
is request($edge, 'GET /v1/tenant/key', by(org => 1, user => 2))->{header}{'x-org-key'}, $key, 'another user of the organisation has the same';
isnt request($edge, 'GET /v1/tenant/key', by(org => 2, user => 1))->{header}{'x-org-key'}, $key, 'another organisation another';
is request($edge, 'HEAD /v1/tenant/key', by(org => 1, user => 1))->{header}{'x-org-key'}, $key, 'HEAD says the same';
my ($left) = request($edge, 'GET /v1/tenant/key', by(org => 1, user => 1, ttl => 20))->{header}{'cache-control'} =~ /^public, max-age=(\d+)$/;
cmp_ok $left, '<=', 20, 'not past the end of the token';

$res = request($client, 'GET /v1/tenant/key', by(org => 1, user => 1));
is $res->{status}, 404, 'a client finds nothing there';
is problem($res)->{code}, 'not_found', 'which is a problem';
is $res->{header}{'x-org-key'}, undef, 'and no key';
$res = request($edge, 'GET /v1/tenant/key');
is "$res->{status} " . ($res->{header}{'x-org-key'} // ''), '401 ', 'without a token there is none';
$res = request($edge, 'GET /v1/tenant/key', by(user => 1, role => 'admin', org => undef));
is $res->{status}, 403, 'nor for a caller of no organisation';
$res = request($edge, "POST /v1/tenant/key", by(org => 1, user => 1), 'Content-Length' => 0);
is "$res->{status} $res->{header}{allow}", '405 GET, HEAD', 'POST is refused';
done_testing;
