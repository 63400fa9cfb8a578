# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What becomes of a key whose request was cut off (decisions.md 23): at most one effect is under way at
# a time, and nobody claims to know what nobody knows.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Digest::SHA qw(sha256_hex);
use Idem qw(ask caller_of field key post receive site wait_for);
use JSON::PP qw(decode_json);
use My::Log qw(expect_error expect_warn);
use Test::More;

expect_error('AH00898: ', 'AH01102: ', 'AH01114: ', 'AH00957: ', 'AH00959: ', 'AH00940: ', 'AH01097: ', 'AH01095: ', 'AH01110: ', 'AH01111: ',
    'AH00052: child pid \d+ exit signal Killed', 'proxy: (?:HTTP|http): ');
expect_warn('AH1039[0-9]: ');
my ($httpd, $backend) = site('idem_doubt', locations => {
    '/api/'         => "Idempotency required\n",
    '/api/retry/'   => "IdempotencyInDoubt retry\n",
    '/api/pause/'   => "IdempotencyInDoubt retry 3s\n",
    '/api/forget/'  => "IdempotencyTTL 2s\n",
    '/api/said/'    => "ProxyErrorOverride On\n",
    '/api/page/'    => "ProxyErrorOverride On\nErrorDocument 404 /index.html\n",
    '/api/nobody/'  => "ProxyPass http://127.0.0.1:1/ retry=0\n",
    '/api/moved/'   => "RewriteEngine On\nRewriteRule moved/(.*) /plain/\$1\n",
    '/plain/'       => "",
}, lines => "ProxyTimeout 20\n");

# the same request, first as told, then plainly
sub twice {
    my ($path, $do, %more) = @_;
    my $key = key($do =~ s/\W.*//r);
    my @headers = (caller_of(), $key, '{"n":1}');
    my $first = post($path, @headers, 'X-Do' => $do, %more);
    return ($key, $first, post($path, @headers));
}

for my $do ('drop', 'cut', 'refuse', 'status=502', 'status=504', 'chunked cut') {
    my ($key, $first, $again) = twice('/api/a', $do);
    like $first->{status}, qr/^50[24]$/, "a backend that ends with '$do' is an error";
    is_deeply [@$again{qw(status code)}], [409, 'idempotency_in_doubt'], 'its key is in doubt';
    cmp_ok $backend->effects($key), '<=', 1, 'and has no second effect';
    is post('/api/a', caller_of(), $key, '{"n":2}')->{code}, 'idempotency_key_reused', 'another request under it is still another';
    is post('/api/a', caller_of(user => 712), $key, '{"n":1}')->{status}, 201, "somebody else's is free";

    ($key, $first, $again) = twice('/api/retry/a', $do);
    is_deeply [@$again{qw(status replayed)}], [201, 0], 'with retry it runs again';
    is post('/api/retry/a', caller_of(), $key, '{"n":1}')->{body}, $again->{body}, 'and is then kept';
}

# mod_proxy ends the second request of a connection without a word
my $wire = My::Wire->new($httpd->port);
is receive(ask('GET', '/api/a', undef, wire => $wire, Authorization => caller_of()))->{status}, 201, 'a request on a connection';
my $key = key('silence');
my %mine = (Authorization => caller_of(), 'Idempotency-Key' => $key, 'Content-Type' => 'application/json');
my $silent = receive(ask('POST', '/api/a', '{}', wire => $wire, %mine, 'X-Do' => 'drop'));
is $silent->{status}, 0, 'the next one ends with the connection';
is post('/api/a', caller_of(), $key, '{}')->{code}, 'idempotency_in_doubt', 'its key is in doubt';

# past IdempotencyMaxAnswer the status was sent before it broke
my ($large, undef, $after) = twice('/api/a', 'big=300000 cut');
is $after->{code}, 'idempotency_answer_too_large', 'an answer that breaks behind IdempotencyMaxAnswer had its effect';
is $backend->effects($large), 1, 'once';

# nobody was reached: nothing happened
($key, my $first, my $again) = twice('/api/nobody/a', '');
is_deeply [$first->{status}, $again->{status}], [503, 503], 'a backend that nobody reaches leaves the key free';

# the backend is late, and goes on
$httpd->configure(lines => do {
    open my $fh, '<', $httpd->dir . '/httpd.conf' or die $!;
    local $/;
    (<$fh> =~ /^(Protocols .*|Timeout .*)\z/ms)[0] =~ s/ProxyTimeout 20/ProxyTimeout 1/r
});
$httpd->graceful;
($key, $first, $again) = twice('/api/a', 'sleep=2.5');
like $first->{status}, qr/^50[24]$/, 'a backend that is late is an error';
is $again->{code}, 'idempotency_in_doubt', 'while it goes on the key is in doubt';
($key, $first, $again) = twice('/api/pause/a', 'sleep=1.5');
is $again->{code}, 'idempotency_in_doubt', 'retry with a time gives it that time';
ok wait_for(10, sub { post('/api/pause/a', caller_of(), $key, '{"n":1}')->{status} == 201 }), 'and then runs again';
is join(' ', $backend->overlaps), '', 'never beside the first';
is $backend->effects($key), 2, 'it had two effects, one after the other';

# a doubt ends with the ttl
$key = key('ttl');
post('/api/forget/a', caller_of(), $key, '{}', 'X-Do' => 'drop');
ok wait_for(10, sub { post('/api/forget/a', caller_of(), $key, '{}')->{status} == 201 }), 'a doubt lasts for IdempotencyTTL';

# errors that the server makes of the backend's
for my $path ('/api/said/a', '/api/page/a') {
    ($key, $first, $again) = twice($path, 'status=404');
    is_deeply [@$first{qw(status replayed)}, @$again{qw(status replayed)}], [404, 0, 404, 1], "$path: a 404 that the server words is kept";
    is $again->{body}, $first->{body}, 'byte for byte';
    is field($again, 'Content-Type'), field($first, 'Content-Type'), 'with its type';
    is $backend->effects($key), 1, 'from one effect';
}

# a redirect inside the server
my $body = join '', map { chr($_ * 7 % 256) } 1 .. 30_000;
$key = key('moved');
($first, $again) = map { post('/api/moved/x', caller_of(), $key, $body) } 1, 2;
is $first->{status}, 201, 'a request that is rewritten gets there';
is decode_json($first->{body})->{sum}, sha256_hex($body), 'with its body';
is_deeply [@$again{qw(replayed body)}], [1, $first->{body}], 'and is replayed';
is $backend->effects($key), 1, 'after one effect';
is post('/api/moved/y', caller_of(), $key, $body)->{code}, 'idempotency_key_reused', 'by its own path';

# kill -9 of the child that runs it
for my $path ('/api/a', '/api/retry/a') {
    $key = key('killed');
    my $running = ask('POST', $path, '{"n":1}', %mine, 'Idempotency-Key' => $key, 'X-Do' => 'sleep=0.6');
    ok wait_for(10, sub { $backend->effects($key) }), 'a request runs';
    kill KILL => $httpd->children;
    is((receive($running) // { status => 'none' })->{status}, 0, 'its child is killed, and nobody answers');
    my $got;
    ok wait_for(20, sub { $got = eval { post($path, caller_of(), $key, '{"n":1}') }; $got && $got->{status} =~ /^\d{3}$/ && ($got->{code} // '') ne 'idempotency_in_progress' }),
        'new children serve its key';
    is_deeply [@$got{qw(status code)}], $path =~ /retry/ ? [201, undef] : [409, 'idempotency_in_doubt'], "$path: as IdempotencyInDoubt says";
    is $backend->effects($key), $path =~ /retry/ ? 2 : 1, 'and no other effect';
}

# what was answered outlives children and graceful restarts, and so does what runs
$key = key('kept');
$first = post('/api/a', caller_of(), $key, '{}');
my $slow = key('slow');
my $running = ask('POST', '/api/a', '{}', %mine, 'Idempotency-Key' => $slow, 'X-Do' => 'sleep=0.9');
ok wait_for(10, sub { $backend->effects($slow) }), 'a request runs';
$httpd->graceful;
my $during = post('/api/a', caller_of(), $slow, '{}');
ok $during->{replayed} || $during->{code} eq 'idempotency_in_progress', 'over a graceful restart it still runs, or has run';
my $done = receive($running);
is $done->{status}, 201, 'it is answered by its old child';
is post('/api/a', caller_of(), $slow, '{}')->{body}, $done->{body}, 'which a new child replays';
is $backend->effects($slow), 1, 'it had one effect';
kill KILL => $httpd->children;
ok wait_for(20, sub { eval { post('/api/a', caller_of(), $key, '{}')->{replayed} } }), 'an answer outlives kill -9 of all children';
is post('/api/a', caller_of(), $key, '{}')->{body}, $first->{body}, 'byte for byte';
is $backend->effects($key), 1, 'with one effect';

my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
