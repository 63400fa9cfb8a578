# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A key in front of any backend (P§17, http-semantics.md 8): the same request has its effect once, and
# its answer comes again byte for byte; any other is told why not.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Digest::SHA qw(sha256_hex);
use Idem qw(ask caller_of field h2 has_h2 key post receive site wait_for);
use IO::Select ();
use JSON::PP qw(decode_json);
use My::Log qw(expect_error);
use Test::More;

expect_error('OG1200: /open/required/');
my ($httpd, $backend) = site('idem_replay', locations => {
    '/api/'           => "Idempotency required\n",
    '/api/optional/'  => "Idempotency optional\n",
    '/api/off/'       => "Idempotency off\n",
    '/api/small/'     => "IdempotencyMaxBody 1K\nIdempotencyMaxAnswer 1K\n",
    '/api/short/'     => "IdempotencyTTL 2s\n",
    '/api/filtered/'  => "SetOutputFilter SUBSTITUTED\nHeader set X-Late \"expr=%{resp:X-Early}+\"\n",
    '/open/optional/' => "Idempotency optional\n",
    '/open/required/' => "Idempotency required\n",
}, lines => "LoadModule ext_filter_module " . (glob '/usr/lib/apache2/modules/mod_ext_filter.so') . "\n"
    . "ExtFilterDefine SUBSTITUTED mode=output ftype=11 cmd=\"/bin/sed s/x/xy/g\"\n");
my ($owner, $other_user, $other_org) = (caller_of(), caller_of(user => 712), caller_of(org => 72, user => 721));

# What stays the same over a replay: all but Date, and what names the request
sub essence {
    my $answer = shift;
    return join '', grep { !m{^(?:HTTP/|(?:Date|X-Request-Id|Idempotent-Replayed|Connection|Keep-Alive|Upgrade):)}i } sort split /(?<=\n)/, lc $answer->{head};
}

# replay
my $key = key();
my $first = post('/api/orders', $owner, $key, '{"n":1}', 'X-Do' => 'field=Location:/orders/1 field=ETag:"e" field=X-Own:a field=X-Own:b');
is $first->{status}, 201, 'the first request gets there';
ok !$first->{replayed}, 'and is no replay';
my $again = post('/api/orders', $owner, $key, '{"n":1}');
is $again->{status}, 201, 'the second is answered alike';
is $again->{body}, $first->{body}, 'byte for byte';
ok $again->{replayed}, 'and says that it is a replay';
is essence($again), essence($first), 'with the same fields';
isnt field($again, 'X-Request-Id'), field($first, 'X-Request-Id'), 'its X-Request-Id is its own';
is $backend->effects($key), 1, 'the backend had one effect';
is post('/api/orders', $owner, $key, '{"n":1}', 'Content-Type' => 'application/JSON; charset=utf-8')->{replayed}, 1,
    'a parameter of the media type makes no other request';
if (has_h2()) {
    my $h2 = h2('/api/orders', $owner, $key, '{"n":1}');
    is_deeply [@$h2{qw(status replayed body)}], [201, 1, $first->{body}], 'HTTP/2 gets it, too';
    my $new = key();
    my ($one, $two) = map { h2('/api/orders', $owner, $new, '{"h":2}') } 1, 2;
    is_deeply [map { @$_{qw(status replayed)} } $one, $two], [201, 0, 201, 1], 'and can be first';
    is $one->{body}, $two->{body}, 'byte for byte';
    is $backend->effects($new), 1, 'with one effect';
}

# which answers are kept
for my $status (200, 201, 202, 204, 301, 303, 404, 409, 412, 422) {
    my $k = key("s$status");
    my ($one, $two) = map { post('/api/s', $owner, $k, '{}', 'X-Do' => "status=$status") } 1, 2;
    is_deeply [@$one{qw(status replayed)}, @$two{qw(status replayed)}, $backend->effects($k)], [$status, 0, $status, 1, 1],
        "$status is kept";
    is $two->{body}, $one->{body}, 'with its body';
}
for my $status (400, 401, 403, 405, 408, 410, 413, 415, 425, 429, 500, 501, 503, 507) {
    my $k = key("s$status");
    my $one = post('/api/s', $owner, $k, '{}', 'X-Do' => "status=$status");
    my $two = post('/api/s', $owner, $k, '{}');
    is_deeply [@$one{qw(status replayed)}, @$two{qw(status replayed)}, $backend->effects($k)], [$status, 0, 201, 0, 2],
        "$status leaves the key free";
}
for my $shape ('none', 'chunked', 'body={}', 'big=60000', 'chunked big=60000') {
    my $k = key('shape');
    my ($one, $two) = map { post('/api/s', $owner, $k, '{}', 'X-Do' => $shape) } 1, 2;
    is_deeply [$two->{replayed}, $two->{body} eq $one->{body}, $backend->effects($k)], [1, 1, 1], "an answer of the shape $shape is replayed";
}

# fields that are of one message
$key = key('fields');
my $noisy = 'field=Set-Cookie:a=b field=Date:Thu,_01_Jan_1970_00:00:00_GMT field=X-Org-Key:leak field=Surrogate-Key:leak '
    . 'field=X-Request-Id:leak field=Connection:X-Hop field=X-Hop:leak field=Keep-Alive:leak field=X-Kept:yes';
my ($loud, $quiet) = (post('/api/f', $owner, $key, '{}', 'X-Do' => $noisy), post('/api/f', $owner, $key, '{}'));
is field($loud, 'Set-Cookie'), 'a=b', 'the first answer sets a cookie';
is field($quiet, 'Set-Cookie'), undef, 'its replay does not';
is field($quiet, 'X-Kept'), 'yes', 'other fields stay';
unlike $quiet->{head}, qr/leak|1970/, 'and none of a connection, a moment, or inside';

# another request under the same key
$key = key('reuse');
is post('/api/a', $owner, $key, '{"n":1}')->{status}, 201, 'a key is used';
for my $case (['body', '/api/a', '{"n":2}'], ['white space', '/api/a', '{"n": 1}'], ['empty body', '/api/a', ''],
    ['path', '/api/b', '{"n":1}'], ['query', '/api/a?x=1', '{"n":1}'], ['method', '/api/a', '{"n":1}', method => 'PUT'],
    ['media type', '/api/a', '{"n":1}', 'Content-Type' => 'text/plain'], ['no media type', '/api/a', '{"n":1}', 'Content-Type' => undef]) {
    my ($what, $path, $body, %more) = @$case;
    my $got = post($path, $owner, $key, $body, %more);
    is_deeply [@$got{qw(status code)}], [409, 'idempotency_key_reused'], "another $what is refused";
    is field($got, 'Retry-After'), undef, 'for good';
}
is $backend->effects($key), 1, 'and has no effect';
$key = key('query');
is post('/api/q?b=2&a=%31&&c', $owner, $key, '')->{status}, 201, 'a query';
is post('/api/q?a=1&b=2&c', $owner, $key, '')->{replayed}, 1, 'is the same in another spelling';
is post('/api/q?a=1&b=2&c=1', $owner, $key, '')->{status}, 409, 'and not with other values';

# scope
$key = key('scope');
my @own = map { post('/api/a', $_, $key, '{}') } $owner, $other_user, $other_org;
is join(' ', map { "$_->{status}$_->{replayed}" } @own), '2010 2010 2010', "another user's and another organisation's key is another key";
is $backend->effects($key), 3, 'each has its effect';
is post('/api/a', $other_user, $key, '{}')->{body}, $own[1]{body}, 'and its own replay';

# syntax
my $missing = post('/api/a', $owner, undef, '{}');
is_deeply [@$missing{qw(status code)}], [400, 'idempotency_key_required'], 'a write without a key is refused where keys are required';
for my $bad ('', ' ', 'a b', "caf\xc3\xa9", 'x' x 256, "a\tb", 'a, b') {
    my $got = post('/api/a', $owner, $bad, '{}');
    is_deeply [$got->{status}, $got->{code} =~ /^idempotency_key_(?:invalid|required)$/], [400, 1], "'$bad' is no key";
}
for my $good ('x' x 255, '"quoted"', q{a'b--}, 'a:b:c', '%00', '!~') {
    is post('/api/a', $owner, $good, '{}')->{status}, 201, 'any visible ASCII is a key';
}

# where, and for whom
is post('/api/optional/a', $owner, undef, '{}')->{status}, 201, 'without a key where it is optional';
$key = key('optional');
is join(' ', map { post('/api/optional/a', $owner, $key, '{}')->{replayed} } 1, 2), '0 1', 'with one it is kept';
is post('/api/optional/a', $owner, 'a b', '{}')->{status}, 400, 'with a malformed one it is refused';
$key = key('off');
is join(' ', map { post('/api/off/a', $owner, $key, '{}')->{replayed} } 1, 2), '0 0', 'off is off';
for my $method (qw(GET OPTIONS)) {
    $key = key($method);
    is join(' ', map { post('/api/a', $owner, $key, undef, method => $method)->{replayed} } 1, 2), '0 0', "$method needs and uses no key";
    is $backend->effects($key), 2, 'it gets there each time';
}
for my $method (qw(PUT PATCH DELETE)) {
    $key = key($method);
    is join(' ', map { post('/api/a', $owner, $key, '{}', method => $method)->{replayed} } 1, 2), '0 1', "$method is a write";
}
$key = key('open');
is join(' ', map { post('/open/optional/a', undef, $key, '{}')->{replayed} } 1, 2), '0 0', 'the key of a caller whom nobody verified is ignored';
is_deeply [@{ post('/open/required/a', undef, $key, '{}') }{qw(status code)}], [401, 'unauthenticated'], 'or, where keys are required, refused';
is $backend->effects($key), 2, 'which has no effect';
is post('/api/a', undef, $key, '{}')->{status}, 401, 'and so is somebody without a token';

# what the backend gets
for my $size (0, 1, 8191, 8192, 100_000, 1_048_576) {
    my $body = join '', map { chr($_ * 7 % 256) } 1 .. ($size || 0);
    my $got = decode_json(post('/api/b', $owner, key(), $body)->{body});
    is_deeply [@$got{qw(length sum)}], [$size, sha256_hex($body)], "a body of $size bytes arrives unchanged";
}
my $chunks = "5\r\nab\ncd\r\n3;x=y\r\n\0\r\n\r\n0\r\n\r\n";
my $got = decode_json(post('/api/b', $owner, key(), $chunks, 'Transfer-Encoding' => 'chunked')->{body});
is_deeply [@$got{qw(length sum)}], [8, sha256_hex("ab\ncd\0\r\n")], 'so does a chunked one';
$key = key('framing');
post('/api/b', $owner, $key, $chunks, 'Transfer-Encoding' => 'chunked');
is post('/api/b', $owner, $key, "ab\ncd\0\r\n")->{replayed}, 1, 'which is the same request with a length';
is $got->{path}, '/b', 'and path';

# bounds
my $large = post('/api/small/a', $owner, key(), 'x' x 1025);
is_deeply [@$large{qw(status code keep)}], [413, 'payload_too_large', ''], 'a body past IdempotencyMaxBody is refused, and the connection closed';
is post('/api/small/a', $owner, key(), "401\r\n" . 'x' x 1025 . "\r\n0\r\n\r\n", 'Transfer-Encoding' => 'chunked')->{status}, 413, 'a chunked one, too';
is post('/api/small/a', $owner, key(), 'x' x 1024)->{status}, 201, 'one byte less is not';
for my $do ('big=1025', 'big=100000', 'big=100000 chunked', 'big=900') {
    $key = key('answer');
    my ($one, $two) = map { post('/api/small/a', $owner, $key, '{}', 'X-Do' => "$do field=X-Fill:" . 'y' x 200) } 1, 2;
    my ($size) = $do =~ /(\d+)/;
    is_deeply [$one->{status}, length $one->{body}], [201, $size], "an answer past IdempotencyMaxAnswer ($do) arrives whole";
    is_deeply [@$two{qw(status code)}], [409, 'idempotency_answer_too_large'], 'and is not replayed';
    is decode_json($two->{body})->{details}{status}, 201, 'but its status is told';
    is $backend->effects($key), 1, 'its effect is not repeated';
}
$key = key('early');
my $early = ask('POST', '/api/a', undef, Authorization => $owner, 'Idempotency-Key' => 'a b', 'Content-Length' => 10_485_760);
is receive($early)->{status}, 400, 'a refused key is answered before the body is sent';
my $expects = ask('POST', '/api/a', undef, Authorization => $owner, 'Idempotency-Key' => 'a b', 'Content-Length' => 4, Expect => '100-continue');
like $expects->answer->{raw}, qr{^HTTP/1\.1 400}, 'and no 100 Continue is sent for it';

# one connection
my $wire = My::Wire->new($httpd->port);
$key = key('wire');
my @statuses = map {
    my $got = receive(ask('POST', '/api/a', $_, wire => $wire, Authorization => $owner, 'Content-Type' => 'application/json',
        'Idempotency-Key' => $key)) // { status => 'none' };
    "$got->{status}-" . ($got->{replayed} // '')
} '{"n":1}', '{"n":1}', '{"n":2}', '{"n":1}';
is "@statuses", '201-0 201-1 409-0 201-1', 'a connection goes on behind an answer, a replay and a refusal';

# running
$key = key('running');
my $running = ask('POST', '/api/a', '{}', Authorization => $owner, 'Content-Type' => 'application/json', 'Idempotency-Key' => $key, 'X-Do' => 'sleep=1.5');
ok wait_for(10, sub { $backend->effects($key) }), 'a request runs';
my $busy = post('/api/a', $owner, $key, '{}');
SKIP: {
    skip 'this machine is too slow to look while it runs', 4 if IO::Select->new($running->{socket})->can_read(0);
    is_deeply [@$busy{qw(status code)}], [409, 'idempotency_in_progress'], 'another one with its key is not made to wait';
    is field($busy, 'Retry-After'), 1, 'but told when to come again';
    is post('/api/a', $owner, $key, '{"x":1}')->{status}, 409, 'nor is another request';
    is post('/api/a', $other_user, $key, '{}')->{status}, 201, "somebody else's key is free";
}
is receive($running)->{status}, 201, 'the first is answered';
is post('/api/a', $owner, $key, '{}')->{replayed}, 1, 'then its answer is replayed';

# a client that leaves
$key = key('left');
my $left = ask('POST', '/api/a', '{}', Authorization => $owner, 'Content-Type' => 'application/json', 'Idempotency-Key' => $key, 'X-Do' => 'sleep=0.5');
ok wait_for(10, sub { $backend->effects($key) }), 'a client leaves while its request runs';
close $left->{socket};
ok wait_for(10, sub { post('/api/a', $owner, $key, '{}')->{replayed} }), 'and finds its answer when it comes back';
is $backend->effects($key), 1, 'with one effect';

# filters behind the handler do to a replay what they did to the answer
$key = key('filtered');
($first, $again) = map { post('/api/filtered/a', $owner, $key, '{}', 'X-Do' => 'body=axbx field=X-Early:e') } 1, 2;
is $first->{body}, 'axybxy', 'an answer passes a filter';
is $again->{body}, $first->{body}, 'once, on replay as well';
is field($again, 'X-Late'), field($first, 'X-Late'), 'and so do its fields';

# time
$key = key('ttl');
is post('/api/short/a', $owner, $key, '{}')->{status}, 201, 'a key lives';
ok wait_for(10, sub { !post('/api/short/a', $owner, $key, '{}')->{replayed} }), 'for IdempotencyTTL';
is $backend->effects($key), 2, 'and is then free';

my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
