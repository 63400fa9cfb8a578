# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A route is matched as it stands: any other spelling of a path is another path (B18), and an answer
# of an unknown one says nothing of what exists.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use Apache::TestRequest qw(GET POST);
use JSON::PP qw(decode_json);
use My::DB qw(make_org);
use My::Finance qw(bearer get request);
use Test::More;

my $owner = bearer(make_org(3021), 1);

my @absent = qw(/v1/finance/ /v1/finance /v1/finance/expense /v1/finance/expenses/ /v1/finance/expenses.css
    /v1/finance/expenses;x.css /v1/finance/expenses/x /v1/finance/expenses/007 /v1/finance/expenses/1/
    /v1/finance/expenses/9007199254740992 /v1/finance/expense%73 /v1/finance//expenses /v1/finance/./expenses
    /v1/finance/x/../expenses /v1/finance/expenses%3f /v1/finance/Expenses /v1/v1/finance/expenses);
for my $path (@absent) {
    my $got = get($path, $owner);
    is $got->code, 404, "$path does not exist";
}
is get('/v1/finance/expenses?', $owner)->code, 200, 'an empty query is no query';
for my $method (qw(PUT DELETE PATCH)) {
    my $got = request($method, '/v1/finance/expenses', $owner);
    is $got->code, 405, 'a method that a path does not take';
    is $got->header('Allow'), 'GET, HEAD, POST', 'is answered with those it takes';
    is decode_json($got->content)->{code}, 'method_not_allowed', 'as a problem';
}
is POST('/v1/finance/expenses/1', Authorization => $owner, content => '')->header('Allow'), 'GET, HEAD', 'path by path';

my $anonymous = GET('/v1/finance/expenses');
is $anonymous->code, 401, 'nobody is served without a token';
unlike $anonymous->content, qr/expense/, 'or told anything';
my $problem = decode_json(get('/v1/finance/nothing', $owner)->content);
is_deeply [sort keys %$problem], [qw(code detail details instance message status title type)], 'a problem has its members';
is_deeply [@$problem{qw(status title code type)}], [404, 'Not Found', 'not_found', '/problems/not_found'], 'and values';
done_testing;
