# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Raw bytes of answers of every kind: no internal header leaves toward a client; an edge gets the
# key of the verified tenant; everybody gets one X-Request-Id of ours and nosniff.
use strict;
use warnings FATAL => 'all';

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use HTTP::Date ();
use Http;
use My::Log qw(expect_error);
use My::Token qw(bearer);
use POSIX ();
use Test::More;

my ($client, $edge, $other) = map { port_of("tenant_$_") } qw(client edge other_edge);
my @bearer = (Authorization => bearer(org => 101, user => 1));
my $internal = qr/^(?:X-Org-Key|Surrogate-Key|Surrogate-Control|X-Cache-Tags|X-Tenant-Partition
                  |CDN-Cache-Control|Cache-Tag)\s*:/mix;
my $now = HTTP::Date::time2str(time);

expect_error('AH00957', 'AH01114', 'AH00135');      # no backend there; no such method

# status, request, fields …
my @rows = (
    [200, 'GET /page.html'],
    [200, 'HEAD /page.html'],
    [200, 'OPTIONS /page.html'],
    [200, 'GET /leak.asis'],
    [200, 'GET /rewritten'],
    [204, 'GET /e204'],
    [206, 'GET /page.html', Range => 'bytes=0-3'],
    [206, 'GET /page.html', Range => 'bytes=0-1,4-5'],
    [301, 'GET /e301'],
    [304, 'GET /page.html', 'If-Modified-Since' => $now],
    [304, 'GET /page.html', 'If-None-Match' => '*'],
    [404, 'GET /%00'],
    [401, 'GET /secured/page.html'],
    [401, 'HEAD /secured/page.html'],
    [401, 'GET /secured/page.html', Authorization => 'Bearer x'],
    [401, 'GET /secured/documented/page.html'],
    [200, 'GET /secured/org/page.html', @bearer],
    [304, 'GET /secured/org/page.html', @bearer, 'If-None-Match' => '*'],
    [404, 'GET /secured/org/nothing', @bearer],
    [403, 'GET /secured/org12/page.html', @bearer],
    [403, 'GET /denied/'],
    [403, 'GET /documented/'],
    [403, 'GET /e403'],
    [404, 'GET /nothing'],
    [404, 'HEAD /nothing'],
    [404, 'GET /problem/nothing'],
    [404, 'HEAD /problem/nothing'],
    [405, 'DELETE /page.html'],
    [405, 'PUT /page.html'],
    [410, 'GET /e410'],
    [412, 'GET /page.html', 'If-Match' => '"x"'],
    [416, 'GET /page.html', Range => 'bytes=9000-'],
    [425, 'GET /problem/e425'],
    [429, 'GET /e429'],
    [500, 'GET /e500'],
    [503, 'GET /problem/e503'],
    [200, 'GET /backend/page.html'],
    [200, 'HEAD /backend/page.html'],
    [206, 'GET /backend/page.html', Range => 'bytes=0-3'],
    [304, 'GET /backend/page.html', 'If-None-Match' => '*'],
    [404, 'GET /backend/nothing'],
    [500, 'GET /backend/e500'],
    [503, 'GET /backend/e503'],
    [503, 'GET /nobackend'],
    [404, 'GET /cached/nothing'],
    [501, 'FROB /page.html'],
);

# What mod_cache answers once it has stored it, whoever asked first
my @cached = map { my $what = $_; ([200, "GET /cached/$what"], [200, "HEAD /cached/$what"], [200, "GET /cached/$what"],
    [304, "GET /cached/$what", 'If-None-Match' => '*']) } qw(page.html leak.asis);

# what, bytes: what HTTP/2 and a polite client cannot say
my @raw = (
    ['TRACE',                        "TRACE /page.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200],
    ['no version',                   "GET /page.html FOO/9\r\nHost: x\r\n\r\n", 400],
    ['no Host',                      "GET /page.html HTTP/1.1\r\n\r\n", 400],
    ['a bad header line',            "GET /page.html HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400],
    ['a space in a header name',     "GET /page.html HTTP/1.1\r\nHost: x\r\nX-Org-Key : 1\r\n\r\n", 400],
    ['a long header',                "GET /page.html HTTP/1.1\r\nHost: x\r\nX: " . 'x' x 20000 . "\r\n\r\n", 400],
    ['a long request line',          'GET /' . 'x' x 20000 . " HTTP/1.1\r\nHost: x\r\n\r\n", 414],
    ['two lengths',                  "POST /page.html HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ['an expectation',               "GET /page.html HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n", 417],
    ['HTTP/1.0',                     "GET /page.html HTTP/1.0\r\n\r\n", 200],
);

my @protocols = (['HTTP/1.1', \&request], has_h2() ? ['h2c', \&h2] : ());
plan tests => @protocols * (5 * @rows + 6 * @cached + 1) + 6 * @raw + @protocols * 11 + 7;

sub clean {
    my ($what, $answer, $status) = @_;
    is $answer->{status}, $status, "$what: status";
    unlike $answer->{raw}, $internal, "$what: no internal header";
    unlike $answer->{raw}, qr/leak/, "$what: nor the value of one";
    like $answer->{header}{'x-request-id'} // '', qr/^[A-Za-z0-9_-]{22}$/, "$what: one X-Request-Id of ours";
    is $answer->{header}{'x-content-type-options'}, 'nosniff', "$what: nosniff";
}

for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    for (@rows) {
        my ($status, $what, @fields) = @$_;
        clean("$name $what", $ask->($client, $what, @fields), $status);
    }
}
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    my %id;
    $ask->($client, $_->[1]) for @cached;
    for (@cached) {
        my ($status, $what, @fields) = @$_;
        my $answer = $ask->($client, $what, @fields);
        clean("$name $what from the cache", $answer, $status);
        like $answer->{header}{'x-cache'}, qr/^HIT\b/, "$name $what: it is from there";
        $id{ $answer->{header}{'x-request-id'} // '' }++;
    }
    is keys %id, @cached, "$name: each answer from the cache has an X-Request-Id of its own";
}
for (@raw) {
    my ($what, $bytes, $status) = @$_;
    for my $port ($client, $edge) {
        my $answer = Http::parse(exchange($port, $bytes));
        is $answer->{status}, $status, "$what: status";
        my $id = $answer->{header}{'x-request-id'};
        if ($port == $edge) {
            like $id, qr/^[A-Za-z0-9_-]{22}$/, "$what: the edge gets an id, too";
            next;
        }
        unlike $answer->{raw}, $internal, "$what: no internal header";
        unlike $answer->{raw}, qr/leak/, "$what: nor the value of one";
        like $id, qr/^[A-Za-z0-9_-]{22}$/, "$what: one X-Request-Id of ours";
    }
}

# The edge's face: what the site says, but X-Org-Key is ours
chomp(my $secret = My::Token::slurp(My::Token::dir() . '/hs256.secret'));
my $key = substr hmac_sha256_hex('org:101:tenant-isolation-key', $secret), 0, 16;
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    my $mine = $ask->($edge, 'GET /secured/org/page.html', @bearer);
    is $mine->{status}, 200, "$name edge: the caller is let in";
    is $mine->{header}{'x-org-key'}, $key, "$name edge: the key of the verified tenant, keyed by the secret";
    is $mine->{header}{'surrogate-control'}, 'leak', "$name edge: the site's own lines for the edge";
    is $ask->($edge, 'GET /secured/org12/page.html', @bearer)->{header}{'x-org-key'}, $key,
        "$name edge: a 403 has it as well";
    is $ask->($edge, 'GET /secured/org/page.html', @bearer, 'If-None-Match' => '*')->{header}{'x-org-key'}, $key,
        "$name edge: and a 304";
    is $ask->($edge, 'GET /page.html')->{header}{'x-org-key'}, undef, "$name edge: nobody verified, no key";
    is $ask->($edge, 'GET /secured/page.html', Authorization => 'Bearer x')->{header}{'x-org-key'}, undef,
        "$name edge: nor for a refused token";
    is $ask->($edge, 'GET /secured/page.html', Authorization => bearer(org => undef, role => 'admin'))
        ->{header}{'x-org-key'}, undef, "$name edge: nor for an admin without an organisation";
}

# Trust is the connection's, not a header's
for my $forged (['X-Forwarded-For', '192.0.2.1'], ['Forwarded', 'for=192.0.2.1'], ['X-Real-IP', '192.0.2.1'],
                ['Via', '1.1 edge'], ['X-Org-Key', $key], ['CDN-Loop', 'edge'], ['True-Client-IP', '192.0.2.1']) {
    my $answer = request($other, 'GET /secured/org/page.html', @bearer, @$forged);
    unlike $answer->{raw}, $internal, "$forged->[0] makes nobody an edge";
}

# A backend's 103 is written past all filters, so it is not forwarded at all
for my $protocol (@protocols) {
    my ($name, $ask) = @$protocol;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $peer = $listener->accept;
        sysread $peer, my $asked, 65536;
        print $peer "HTTP/1.1 103 Early Hints\r\nX-Org-Key: leak\r\nLink: </x>; rel=preload\r\n\r\n",
                    "HTTP/1.1 200 OK\r\nSurrogate-Key: leak\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";
        close $peer;
        POSIX::_exit(0);
    }
    my $late = $ask->($client, 'GET /early/' . $listener->sockport);
    waitpid $pid, 0;
    is $late->{status}, 200, "$name: the answer after a 103 arrives";
    is $late->{body}, 'late', 'with its body';
    unlike $late->{raw}, qr/leak|103/, 'and nothing of the 103';
}
