# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# docs/openapi.json is the one list of members: what the server answers and takes is what it says.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use JSON::PP qw(decode_json);
use My::DB qw(make_org);
use My::Finance qw(bearer expense post_expense);
use My::Source qw(slurp);
use Test::More;

my $api = decode_json(slurp('docs/openapi.json'));
my $owner = bearer(make_org(3061), 1);
my ($expense, $input) = map { $api->{components}{schemas}{$_} } qw(Expense ExpenseInput);

my $row = decode_json(post_expense($owner, 'api', expense(30611))->content);
is_deeply [sort keys %$row], [sort keys %{ $expense->{properties} }], 'an expense has the members of the schema';
for my $name (sort keys %$row) {
    my $type = $expense->{properties}{$name}{type};
    my %may = map { $_ => 1 } ref $type ? @$type : $type;
    my $is = !defined $row->{$name} ? 'null'
        : JSON::PP->new->allow_nonref->encode($row->{$name}) =~ /^"/ ? 'string' : 'integer';
    ok $may{$is}, "$name is $is";
}

# every member alone: absent where required is refused, at its bound accepted, past it refused
my %good = (propertyId => 30611, amountCents => 1_000_000_000_000, category => 'c' x 50, description => 'd' x 1000,
    paymentMode => 'upi', vendor => 'v' x 200, notes => 'n' x 2000, currency => 'USD', paymentReference => 'p' x 100,
    invoiceNumber => 'i' x 100, receiptDocumentId => 9007199254740991, occurredAt => '2025-01-31T00:00:00Z');
is_deeply [sort keys %good], [sort keys %{ $input->{properties} }], 'each member of the input schema is tried';
is post_expense($owner, 'api-full', \%good)->code, 201, 'all of them at their bounds are accepted';
my %required = map { $_ => 1 } @{ $input->{required} };
for my $name (sort keys %good) {
    my %body = %good;
    delete $body{$name};
    is post_expense($owner, "api-no-$name", \%body)->code, $required{$name} ? 422 : 201,
        "without $name: " . ($required{$name} ? 'refused' : 'accepted');
    my $max = $input->{properties}{$name}{maxLength} or next;
    is post_expense($owner, "api-long-$name", { %good, $name => 'x' x ($max + 1) })->code, 422, "$name past $max characters: refused";
}
for my $mode (@{ $input->{properties}{paymentMode}{enum} }) {
    is post_expense($owner, "api-$mode", expense(30611, paymentMode => $mode))->code, 201, "$mode is a payment mode";
}
done_testing;
