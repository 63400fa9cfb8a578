# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What is compressed, and how: by what the client likes best, from a size on, and what never is (B22, B27).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask caller_of status_of unzip);
use Http qw(h2 has_h2 port_of);
use IO::Socket::INET ();
use Origin ();
use Test::More;

my $origin = Origin->new('compress');
my $port = $origin->port;
my @by = (by => [51, 1]);
my $count = 0;
sub made { my %answer = @_; my $path = '/p' . $count++; $origin->says($path, %answer); return $path }
sub coding_of { my ($path, $accept) = @_; return ask("GET /plain/$port$path", @by, defined $accept ? ('Accept-Encoding' => $accept) : ())->{header}{'content-encoding'} // 'none' }

# who likes what (the rest is t/unit/edge_coding.t)
my $path = made(body => 'x,' x 2000);
for my $case ([undef, 'none'], ['', 'none'], ['br', 'br'], ['gzip, deflate, br', 'br'], ['br;q=0.1, gzip', 'gzip'], ['*', 'br'], ['br;q=0, *', 'gzip'],
    ['identity', 'none'], ['*;q=0', 'none'], ['nonsense', 'none'], ['x' x 7000, 'none'], [join(',', ('br;q=0') x 1000), 'none']) {
    my ($accept, $coding) = @$case;
    is coding_of($path, $accept), $coding, 'to "' . substr($accept // 'nothing', 0, 40) . '"';
}

# how much
for my $size (1, 100, 1023, 1024, 1025) {
    for my $how ([], [chunked => 1], [ETag => '"x"'], [chunked => 1, ETag => '"x"']) {
        my $path = made(body => 'x' x $size, @$how);
        my $res = ask("GET /plain/$port$path", @by, 'Accept-Encoding' => 'br');
        is $res->{header}{'content-encoding'} // 'none', $size < 1024 ? 'none' : 'br', "$size bytes, @$how";
        is unzip($res), 'x' x $size, 'all of them';
        is $res->{header}{vary}, 'Accept-Encoding', 'and Vary, whatever was done';
    }
}
$path = made(body => '{}');
is coding_of($path, 'identity;q=0, br'), 'br', 'a client that refuses all else gets even little encoded';
is unzip(ask("GET /plain/$port$path", @by, 'Accept-Encoding' => 'identity;q=0, gzip')), '{}', 'whole';
my $large = join ',', 1 .. 400_000;
for my $how ([], [chunked => 1]) {
    $path = made(body => $large, @$how);
    my $res = ask("GET /plain/$port$path", @by, 'Accept-Encoding' => 'gzip');
    ok unzip($res) eq $large, 'more than is held for a tag is passed on whole';
    is $res->{header}{etag}, undef, 'without one';
    is $res->{header}{'content-encoding'}, 'gzip', 'encoded';
}

# what
for my $case (['application/json', 'br'], ['application/json; charset=utf-8', 'br'], ['text/html', 'br'], ['text/csv', 'br'], ['application/problem+json', 'br'],
    ['image/svg+xml', 'br'], ['APPLICATION/JSON', 'br'], ['application/x+json', 'br'], ['image/png', 'none'], ['application/zip', 'none'], ['application/pdf', 'none'],
    ['video/mp4', 'none'], ['application/octet-stream', 'none'], ['text/event-stream', 'none'], ['application/jsonx', 'none']) {
    my ($type, $coding) = @$case;
    is coding_of(made(body => 'x' x 3000, 'Content-Type' => $type), 'br'), $coding, "$type: $coding";
}
is coding_of(made(body => 'x' x 3000, 'Cache-Control' => 'no-transform'), 'br'), 'none', 'no-transform is heeded';
is coding_of(made(body => 'x' x 3000, 'Content-Encoding' => 'zstd'), 'br'), 'zstd', 'what is encoded is left alone';
is coding_of(made(body => 'x' x 3000, status => $_), 'br'), 'none', "$_ is left alone" for 404, 500;
my $ranged = ask("GET /plain/$port" . made(body => 'x' x 3000), @by, 'Accept-Encoding' => 'br', Range => 'bytes=0-1999');
is $ranged->{header}{'content-encoding'} // 'none', 'none', 'a range is of what is not encoded';

# what the origin says of its bytes is not said of others
$path = made(body => 'x' x 3000, map { $_ => "sha-256=:$_:" } qw(Digest Content-Digest Repr-Digest));
for my $case (['br', 0], ['identity', 3]) {
    my ($coding, $n) = @$case;
    is scalar(grep { /digest/ } keys %{ ask("GET /plain/$port$path", @by, 'Accept-Encoding' => $coding)->{header} }), $n, "$coding: $n digests";
}

# compressors that somebody configured himself are decided for as well
$path = made(body => 'x' x 3000);
for my $case (['br;q=0.1, gzip', 'gzip'], ['br', 'br'], ['gzip', 'gzip']) {
    my $res = ask("GET /packed/$port$path", @by, 'Accept-Encoding' => $case->[0]);
    is $res->{header}{'content-encoding'}, $case->[1], "beside other filters: $case->[0]";
    is unzip($res), 'x' x 3000, 'once';
}
is ask("GET /packed/$port" . made(body => '{}'), @by, 'Accept-Encoding' => 'br')->{header}{'content-encoding'}, undef, 'nor is little encoded by them';

# each representation is compressed once, whoever asks for it, and after a purge that changed nothing as well: our own
# tag tells that, or the origin does
sub compressions {
    my $path = shift;
    open my $log, '<', "$ENV{TEST_STAGE}/t/logs/edge_log" or die "edge_log: $!";
    return scalar grep { /^\Q$path\E \d+$/ } <$log>;
}
for my $how ([], [ETag => '"x"'], [ETag => 'W/"x"'], ['Last-Modified' => 'Thu, 01 Oct 2026 10:00:00 GMT']) {
    for my $coding (qw(br gzip)) {
        my $path = "/ledger/$port" . made(body => 'x,' x 2000, @$how);
        my $got = sub { my $res = ask("GET $path?propertyId=5", @by, 'Accept-Encoding' => $coding); return unzip($res) eq 'x,' x 2000 ? status_of($res) : 'another body' };
        $got->();
        is $got->(), 'hit', "$coding, @$how: kept" for 1 .. 3;
        my $purge = made(body => 'done');
        for (1 .. 3) {
            ask("POST /ledger/$port$purge?propertyId=5", @by, 'Content-Length' => 0);
            is $got->(), 'fwd=stale; fwd-status=304; stored', 'purged, and still good';
            is $got->(), 'hit', 'and kept again';
        }
        my $end = time + 20;
        sleep 1 until compressions($path) || time > $end;      # a line is written behind its answer
        is compressions($path), 1, 'compressed once';
    }
}

# a client that leaves in the middle, often; the next is served (LeakSanitizer looks at the rest)
for my $n (1 .. 20) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => port_of('edge')) or die "connect: $!";
    print $socket "GET /plain/$port/p0 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br\r\nAuthorization: " . caller_of(org => 51, user => 1) . "\r\n\r\n";
    close $socket;
}
is ask("GET /plain/$port/p0", @by)->{status}, 200, 'after some who left';

SKIP: {
    skip 'no HTTP/2 with prefork', 1 unless has_h2();
    is h2(port_of('edge'), "GET /plain/$port/p0", Authorization => caller_of(org => 51, user => 1), 'Accept-Encoding' => 'gzip')->{header}{'content-encoding'}, 'gzip', 'over HTTP/2';
}
done_testing;
