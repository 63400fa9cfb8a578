# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Finance;

# Requests to the finance API as a test writes them.

use strict;
use warnings FATAL => 'all';
use Apache::TestRequest qw(GET POST);
use Exporter 'import';
use HTTP::Request ();
use JSON::PP ();
use My::Token ();
our @EXPORT_OK = qw(bearer expense get get_json post_expense request);

my %role = (1 => ['owner'], 2 => ['manager', 1, 2], 3 => ['staff', 1]);

# The token of user 1, 2 or 3 of an organisation that My::DB::make_org made.
sub bearer {
    my ($org, $n) = @_;
    my ($role, @properties) = @{ $role{$n} };
    return My::Token::bearer(org => $org, user => $org * 10 + $n, role => $role,
        @properties ? (properties => [map { $org * 10 + $_ } @properties]) : ());
}

sub get {
    my ($path, $token, %headers) = @_;
    return GET($path, Authorization => $token, %headers);
}

sub get_json {
    my $res = get(@_);
    die "$_[0]: " . $res->status_line . "\n" . $res->content unless $res->code == 200;
    return JSON::PP::decode_json($res->content);
}

# A body that is accepted, with changes.
sub expense {
    my ($property, %change) = @_;
    my %body = (propertyId => $property, amountCents => 50_000, category => 'maintenance',
        description => 'Pump repaired', paymentMode => 'cash', %change);
    delete @body{grep { !defined $body{$_} } keys %body};
    return \%body;
}

my $json = JSON::PP->new->canonical;

# Posts a body: a reference is encoded, a string is sent as it is.
sub post_expense {
    my ($token, $key, $body, %headers) = @_;
    %headers = (Authorization => $token, 'Content-Type' => 'application/json', %headers);
    $headers{'Idempotency-Key'} = $key if defined $key;
    return POST('/v1/finance/expenses', %headers, content => ref $body ? $json->encode($body) : $body);
}

# Any method.
sub request {
    my ($method, $path, $token) = @_;
    my $request = HTTP::Request->new($method, Apache::TestRequest::resolve_url($path), [Authorization => $token]);
    return Apache::TestRequest::user_agent()->request($request);
}

1;
