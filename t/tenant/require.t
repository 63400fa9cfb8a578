# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Who may enter where: the matrix of Require tenant-org, tenant-role and tenant-property.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use Http;
use My::Token qw(bearer claims sign);
use Test::More;

my $port = port_of('tenant_client');
my %caller = (
    owner1   => bearer(org => 1, user => 1),
    owner3   => bearer(org => 3, user => 11),
    few      => bearer(org => 1, user => 1, properties => [2, 1]),
    none     => bearer(org => 1, user => 1, properties => []),
    manager  => bearer(org => 2, user => 6, role => 'manager', properties => [6]),
    staff    => bearer(org => 1, user => 3, role => 'staff'),
    admin    => bearer(org => undef, user => 9, role => 'admin'),
    admin5   => bearer(org => 5, user => 9, role => 'admin'),
    Owner    => bearer(org => 1, user => 1, role => 'Owner'),
);

# caller, where, the reason of a 403 or '' when let in, fields
my @rows = (
    [owner1  => 'org/page.html', ''],
    [owner3  => 'org/page.html', ''],
    [admin5  => 'org/page.html', ''],
    [admin   => 'org/page.html', 'org'],
    [owner1  => 'org12/page.html', ''],
    [manager => 'org12/page.html', ''],
    [owner3  => 'org12/page.html', 'org'],
    [admin   => 'org12/page.html', 'org'],
    [owner1  => 'role/page.html', ''],
    [manager => 'role/page.html', ''],
    [staff   => 'role/page.html', 'role'],
    [admin   => 'role/page.html', 'role'],
    [Owner   => 'role/page.html', 'role'],
    [owner1  => 'property/page.html', ''],
    [owner1  => 'property/page.html?propertyId=77', ''],
    [few     => 'property/page.html', ''],
    [few     => 'property/page.html?propertyId=1', ''],
    [few     => 'property/page.html?propertyId=1,2', ''],
    [few     => 'property/page.html?x=3&propertyId=2%2C1', ''],
    [few     => 'property/page.html?propertyId=3', 'property'],
    [few     => 'property/page.html?propertyId=1,3', 'property'],
    [few     => 'property/page.html?propertyId=1&propertyId=1', 'property'],
    [few     => 'property/page.html?propertyId=', 'property'],
    [few     => 'property/page.html?propertyId', 'property'],
    [few     => 'property/page.html?propertyId=1,', 'property'],
    [few     => 'property/page.html?propertyId=01', 'property'],
    [few     => 'property/page.html?propertyId=-1', 'property'],
    [few     => 'property/page.html?propertyId=1%00', 'property'],
    [few     => 'property/page.html?propertyId=1%20or%201=1', 'property'],
    [few     => 'property/page.html?propertyId=4294967297', 'property'],
    [owner1  => 'property/page.html?propertyId=abc', 'property'],
    [none    => 'property/page.html?propertyId=1', 'property'],
    [none    => 'property/page.html', ''],
    [staff   => 'property/page.html?propertyId=1', 'property'],
    [admin   => 'property/page.html?propertyId=1', 'property'],
    [manager => 'property/page.html?propertyId=6', ''],
    [few     => 'header/page.html', ''],
    [few     => 'header/page.html', '', 'X-Property' => '1,2'],
    [few     => 'header/page.html', 'property', 'X-Property' => '3'],
    [few     => 'header/page.html', 'property', 'X-Property' => '*'],
    [few     => 'header/page.html?propertyId=3', ''],
    [owner1  => 'any/page.html', ''],
    [admin   => 'any/page.html', ''],
    [owner3  => 'any/page.html', 'role'],
    [manager => 'all/page.html?propertyId=6', ''],
    [manager => 'all/page.html?propertyId=7', 'property'],
    [owner1  => 'all/page.html', 'role'],
);
plan tests => 4 * @rows + 13;

for my $row (@rows) {
    my ($who, $where, $reason, @fields) = @$row;
    my $name = "$who at $where" . (@fields ? " with @fields" : '');
    my $answer = request($port, "GET /secured/$where", Authorization => $caller{$who}, @fields);
    my $problem = problem($answer);
    is $answer->{status}, $reason ? 403 : 200, "$name: " . ($reason ? 'kept out' : 'let in');
    is $problem->{details}{reason} // '', $reason, "$name: for its reason";
    is $problem->{code} // '', $reason ? 'forbidden' : '', "$name: its code";
    is $answer->{header}{'www-authenticate'}, undef, "$name: no challenge: another token would not help";
}
is request($port, 'GET /secured/any/page.html')->{status}, 401, 'nobody is asked to authenticate';
my $nothing = problem(request($port, 'GET /secured/any/nothing', Authorization => $caller{admin}));
is_deeply [@$nothing{qw(code details)}], ['not_found', {}],
    'a Require that refused before another granted is no reason for another error';
is request($port, 'GET /secured/realm/page.html')->{header}{'www-authenticate'}, 'Bearer realm="the \"house\""',
    'AuthName is the realm';
is request($port, 'GET /secured/realm/page.html', Authorization => 'Bearer x')->{header}{'www-authenticate'},
    'Bearer realm="the \"house\"", error="invalid_token"', 'beside the error';
my $documented = request($port, 'GET /secured/documented/page.html');
is $documented->{status}, 401, "the administrator's ErrorDocument keeps the status";
like $documented->{body}, qr/page/, 'and wins over ours';
is $documented->{header}{'www-authenticate'}, 'Bearer', 'and the challenge survives';

# TenantClaim, TenantAllPropertiesRoles
sub named {
    my %claims = (iss => $My::Token::ISSUER, aud => 'another', exp => time + 60, @_);
    return 'Bearer ' . sign('ES256', \%claims);
}
my @who = (tenant => 4, uid => 5, login => 's4');
is request($port, 'GET /named/page.html', Authorization => named(@who, job => 'boss'))->{status}, 200,
    'claims have the names of TenantClaim';
is request($port, 'GET /named/page.html', Authorization => $caller{owner1})->{status}, 401, 'and no others';
is request($port, 'GET /named/page.html?propertyId=8', Authorization => named(@who, job => 'boss'))->{status}, 200,
    'a role of TenantAllPropertiesRoles holds all properties';
is request($port, 'GET /named/page.html?propertyId=8', Authorization => named(@who, job => 'owner'))->{status}, 403,
    'owner does not, where it is not named';
is request($port, 'GET /named/page.html?propertyId=8', Authorization => named(@who, job => 'x', sites => ['8']))
    ->{status}, 200, 'properties come from the claim of their name';

open my $log, '<', "$ENV{TEST_STAGE}/t/logs/tenant_log" or die $!;
my @lines = grep { m{^/named/page.html 200 } } <$log>;
like $lines[0], qr/ org=4 user=5 role=boss session=s4 id=[A-Za-z0-9_-]{22} other=-$/, 'the log items say who it was';
