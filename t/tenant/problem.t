# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# TenantProblem: problem+json in place of canned pages, in its locations and in no other.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use Http;
use My::Log qw(expect_error);
use My::Token qw(bearer);
use Test::More;

my $port = port_of('tenant_client');
expect_error('AH00957', 'AH01114');

# status, code, title, request
my @rows = (
    [403, 'forbidden',             'Forbidden',             'GET /problem/denied/x'],
    [404, 'not_found',             'Not Found',             'GET /problem/nothing'],
    [405, 'method_not_allowed',    'Method Not Allowed',    'GET /problem/e405'],
    [425, 'too_early',             'Too Early',             'GET /problem/e425'],
    [429, 'rate_limit_exceeded',   'Too Many Requests',     'GET /problem/e429'],
    [500, 'internal_error',        'Internal Server Error', 'GET /problem/e500'],
    [502, 'bad_gateway',           'Bad Gateway',           'GET /problem/e502'],
    [503, 'upstream_unavailable',  'Service Unavailable',   'GET /problem/e503'],
    [504, 'upstream_unavailable',  'Gateway Timeout',       'GET /problem/e504'],
    [507, 'internal_error',        'Insufficient Storage',  'GET /problem/e507'],
);


my @protocols = (['HTTP/1.1', \&request], has_h2() ? ['h2c', \&h2] : ());
plan tests => @protocols * 9 * @rows + 17;

for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    for (@rows) {
        my ($status, $code, $title, $what) = @$_;
        my $answer = $ask->($port, $what);
        my $problem = problem($answer);
        is $answer->{status}, $status, "$name $what: $status";
        is $problem->{status}, $status, "$name $what: status inside";
        is $problem->{code}, $code, "$name $what: code";
        is $problem->{type}, "/problems/$code", "$name $what: type";
        is $problem->{title}, $title, "$name $what: title";
        is $problem->{message}, $problem->{detail}, "$name $what: message is the detail";
        is $answer->{header}{'cache-control'}, 'no-store', "$name $what: not to be stored";
        my $head = $ask->($port, $what =~ s/GET/HEAD/r);
        is $head->{status}, $status, "$name HEAD $what: $status";
        is $head->{body}, '', "$name HEAD $what: no body";
    }
}
like request($port, 'GET /problem/e425')->{line}, qr/^HTTP\/1.1 425 Too Early$/, 'a status without a line gets one';
is request($port, 'GET /problem/e503')->{header}{'retry-after'}, 7, 'Retry-After survives';
like request($port, 'GET /problem/e405')->{header}{allow}, qr/^[A-Z]+/, 'Allow survives';
is problem(request($port, 'GET /problem/elsewhere/x'))->{type}, 'https://problems.test/not_found', 'TenantProblemBase';
for my $elsewhere ('/nothing', '/problem/off/nothing', '/denied/x', '/e500') {
    like request($port, "GET $elsewhere")->{header}{'content-type'}, qr{^text/html}, "$elsewhere keeps its page";
}
my $documented = request($port, 'GET /documented/x');
is $documented->{status}, 403, 'an ErrorDocument keeps its status';
like $documented->{body}, qr/page/, 'and its body';
is request($port, 'GET /page.html', 'If-None-Match' => '*')->{body}, '', 'a 304 has no body';
is request($port, 'GET /backend/nothing')->{header}{'content-type'} =~ /html/, 1, "a backend's error body is its own";
my $answer = request($port, 'GET /secured/page.html');
is problem($answer)->{code}, 'unauthenticated', 'our own 401 is a problem without TenantProblem';
is $answer->{header}{'www-authenticate'}, 'Bearer', 'with its challenge';
is $answer->{header}{'content-length'}, length $answer->{body}, 'and the length of what is sent';
is problem(request($port, 'GET /secured/nothing', Authorization => bearer()))->{code}, 'not_found',
    'and so is any other error where callers are verified';
unlike request($port, 'GET /problem/%3Cscript%3E')->{raw}, qr/script/, 'nothing of the request is echoed';
