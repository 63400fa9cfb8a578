# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The storage orgscale: what it keeps and what not, for how long and for whom; that one request builds and the
# others wait for it; that it is bounded, shared out, and outlives reloads.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(faces);
use My::Log qw(expect_error);
use IO::Socket::INET ();
use Origin ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Stored qw(ask counts server settings together wait_for);
use Test::More;
use Time::HiRes qw(time);

expect_error('AH0(?:1102|1110|0898)');       # an origin that breaks off, or says nothing
my $origin = Origin->new('storage');
my $port = $origin->port;
my $count = 0;

sub fresh { my %answer = (body => 'x' x 100, @_); my $path = '/p' . $count++; $origin->says($path, %answer); return $path }
sub asked { my $path = shift; return scalar(my @heads = $origin->asked($path)) }
sub gmdate { return POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + shift)) }
sub bytes { my $n = shift; my $seed = $n; return join '', map { $seed = ($seed * 1103515245 + 12345) % 2147483648; chr(33 + ($seed >> 16) % 90) } 1 .. $n }

my $wait = 3;
my $lines = "EdgeCacheSize 1M\nEdgeCacheMaxEntry 64K\nEdgeCollapseWait $wait\n";
my $httpd = server('edge_storage', lines => settings($lines) . "ErrorDocument 404 /long/$port/sorry\n");

# bytes, whatever the length, and whether it is told before or not
for my $length (0, 1, 1023, 1024, 1025, 8000, 8001, 65536) {
    for my $chunked (0, 1) {
        my $body = bytes($length);
        my $path = fresh(body => $body, chunked => $chunked, 'X-Said' => 'so', ETag => "\"$length\"");
        my $what = "$length bytes" . ($chunked ? ', chunked' : '');
        is ask("GET /long/$port$path")->{says}, 'fwd=uri-miss; stored', "$what: stored";
        my $res = ask("GET /long/$port$path");
        is "$res->{says} $res->{status} $res->{header}{'x-said'} $res->{header}{etag}", "hit 200 so \"$length\"", 'and found';
        ok $res->{body} eq $body, 'as it was';
        $res = ask("HEAD /long/$port$path");
        is "$res->{says} [$res->{body}]", 'hit []', 'and its head';
        is ask("GET /long/$port$path", Range => 'bytes=0-0')->{body}, substr($body, 0, 1), 'and a part of it' if $length;
    }
}
my $before = counts();
for my $chunked (0, 1) {
    my $path = fresh(body => bytes(65537), chunked => $chunked);
    for (1, 2) {
        my $res = ask("GET /long/$port$path");
        isnt $res->{says}, 'hit', 'what is longer is not kept';
        ok $res->{body} eq bytes(65537), 'but passed on';
    }
    is asked($path), 2, 'so the origin is asked each time';
}
is counts()->{TooLarge}, $before->{TooLarge} + 4, 'and it is counted';

# what is no whole good answer is not kept
for my $case (['a 404', status => 404], ['a 500', status => 500], ['a 206', status => 206, 'Content-Range' => 'bytes 0-99/200'],
    ['a 301', status => 301, Location => '/'], ['one cut short', raw => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", close => 1],
    ['one cut in a chunk', raw => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", close => 1],
    ['Vary: *', Vary => '*'], ['a long Vary', Vary => join ', ', map { "X-$_" } 1 .. 17], ['a cookie', 'Set-Cookie' => 'a=b']) {
    my ($what, %answer) = @$case;
    my $path = fresh(%answer);
    ask("GET /long/$port$path") for 1, 2;
    is asked($path), 2, "$what is not kept";
}
my $path = fresh(status => 203);
ask("GET /long/$port$path") for 1, 2;
is asked($path), 1, 'a 203 is';

# an answer that is kept is none to a request that failed, though its page is that of the error
$origin->says('/sorry', body => 'sorry', ETag => '"sorry"');
ask("GET /long/$port/sorry");
my $missing = ask('GET /missing');
is "$missing->{says} $missing->{body}", 'nothing sorry', 'the page of an error is not from the cache';
is $missing->{header}{'cache-control'}, 'no-store', 'nor into any';

# Vary: an entry for each value; absent, empty and another order of names are what they are
$path = fresh(body => 'a', Vary => 'Accept-Language, X-Kind');
my @kinds = ([], ['Accept-Language' => 'de'], ['Accept-Language' => 'en'], ['Accept-Language' => ''], ['X-Kind' => 'de'],
    ['Accept-Language' => 'de', 'X-Kind' => 'x']);
for my $round (1, 2) {
    for my $i (0 .. $#kinds) {
        $origin->says($path, body => "kind $i", Vary => $i % 2 ? 'Accept-Language, X-Kind' : ['X-Kind', 'Accept-Language']);
        my $res = ask("GET /long/$port$path", @{ $kinds[$i] });
        is "$res->{says} $res->{body}", ($round == 1 ? 'fwd=uri-miss; stored' : 'hit') . " kind $i", "kind $i, round $round";
    }
}

# Who encodes for those who accept it, and does not say so, is not believed: others don't get it
$path = fresh(body => 'zipped', 'Content-Encoding' => 'gzip');
my @accepts = ('Accept-Encoding' => 'gzip');
my $zipped = ask("GET /long/$port$path", @accepts);
is "$zipped->{says} $zipped->{body} $zipped->{header}{vary}", 'fwd=uri-miss; stored zipped Accept-Encoding', 'encoded, without Vary';
$origin->says($path, body => 'plain');
for my $says ('fwd=uri-miss; stored', 'hit') {
    my $res = ask("GET /long/$port$path");
    is "$res->{says} $res->{body}", "$says plain", "who does not accept it: $says";
}
$zipped = ask("GET /long/$port$path", @accepts);
is "$zipped->{says} $zipped->{body}", 'hit plain', 'what is not encoded is for all';

# What the origin is not shown it can't have chosen by, whatever it says: one entry, for all who send a cookie or none
$path = fresh(body => 'the same', Vary => ['Cookie', 'Accept-Language', 'x-forwarded-host']);
my $expected = 'fwd=uri-miss; stored';
for my $with ([Cookie => 'a=1'], [Cookie => 'b=2'], [], [Cookie => 'a=1', 'X-Forwarded-Host' => 'there']) {
    my $res = ask("GET /long/$port$path", @$with);
    is "$res->{says} $res->{body}", "$expected the same", "who sends (@$with)";
    $expected = 'hit';
}
is asked($path), 1, 'asked once';
isnt ask("GET /long/$port$path", Cookie => 'a=1', 'Accept-Language' => 'de')->{says}, 'hit', 'what it is shown it may choose by';
# what the origin does not get it can't choose by, whatever it says
for my $field (qw(Cookie X-Forwarded-Proto X-Forwarded-For Authorization)) {
    $path = fresh(Vary => "Accept-Language, $field");
    ask("GET /long/$port$path", $field => "value $_") for 1 .. 3;
    is asked($path), 1, "Vary: $field, which it does not get";
}
$path = fresh(Vary => 'X-Forwarded-For', body => 'to {x-forwarded-for}');
my $from = sub { return Http::parse(Http::exchange($httpd->port, "GET /long/$port$path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", $_[0]))->{body} };
is join(', ', map { $from->($_) } qw(127.0.0.1 127.0.0.7) x 2), 'to 127.0.0.1, to 127.0.0.7, to 127.0.0.1, to 127.0.0.7', 'but by the address, which mod_proxy tells it';

# a purge: asked by its tag, never served as it was
$path = fresh(body => 'first', ETag => '"v1"');
sub body_of { my $res = ask("GET /$_[0]/$port$path?id=5"); return "$res->{says} $res->{body}" }
sub purge { return ask("POST /long/$port/write?id=5", 'Content-Length' => 0) }
$origin->says('/write', body => 'written');
is body_of('long'), 'fwd=uri-miss; stored first', 'kept under a tag';
purge();
is body_of('long'), 'fwd=stale; fwd-status=304; stored first', 'purged, and good all the same';
is body_of('long'), 'hit first', 'so it is kept again';
$origin->says($path, body => 'second', ETag => '"v2"');
purge();
is body_of('long'), 'fwd=stale; stored second', 'purged, and another now';
for my $family (qw(long brief failing)) {
    body_of($family);
    purge();
    $origin->says($path, status => 500, body => 'broken');
    is ask("GET /$family/$port$path?id=5")->{status}, 500, "$family: purged, and the origin fails: no old answer";
    $origin->says($path, body => 'second', ETag => '"v2"');
}

# an origin whose clock was ahead, or that is several with a clock each, says what is new all the same
for my $case (['2037', 'Thu, 01 Jan 2037 00:00:00 GMT', undef], ['a replica ahead', map { gmdate($_) } 30, -30]) {
    my ($what, @dates) = @$case;
    $path = fresh(body => 'first', ETag => '"v1"', Date => $dates[0]);
    ask("GET /long/$port$path?id=5");
    $origin->says($path, body => 'second', ETag => '"v2"', $dates[1] ? (Date => $dates[1]) : ());
    purge();
    is ask("GET /long/$port$path?id=5")->{body}, 'second', "$what: what is new is given";
    is ask("GET /long/$port$path?id=5")->{says}, 'hit', 'and kept';
}

# a 304 is of what it names; and nobody who has nothing is told that what he has is good
expect_error('OG1305: ');
for my $case (['ETag: "v1"', 'first'], ['ETag: W/"v1"', 'first'], ['ETag: v1', 'first'], ['X: y', 'first'], ['ETag: "v2"', undef], ['ETag: "v1-br"', undef]) {
    my ($line, $body) = @$case;
    $path = fresh(body => 'first', ETag => '"v1"');
    ask("GET /long/$port$path?id=5");
    $origin->says($path, raw => "HTTP/1.1 304 Not Modified\r\n$line\r\n\r\n");
    purge();
    my $res = ask("GET /long/$port$path?id=5");
    is_deeply [$res->{status}, $body ? $res->{body} : faces($res), asked($path)], $body ? [200, $body, 2] : [502, 'no-store', 3], "a 304 with $line";
    $origin->says($path, body => 'second', ETag => '"v2"');
    is ask("GET /long/$port$path?id=5")->{body}, $body // 'second', 'and behind it';
}

# asked by its date where it has no tag: unless it was written twice within that second, and read in between
my $date = 'Thu, 01 Oct 2026 10:00:00 GMT';
for my $case (['the same second', $date, 'second'], ['a minute later', 'Thu, 01 Oct 2026 10:01:00 GMT', 'first']) {
    my ($what, $said, $expected) = @$case;
    $path = fresh(body => 'first', 'Last-Modified' => $date, Date => $said);
    ask("GET /long/$port$path?id=5");
    $origin->says($path, body => 'second', 'Last-Modified' => $date, Date => $said);
    purge();
    is ask("GET /long/$port$path?id=5")->{body}, $expected, "said to be of $what";
}

# too old: one asks, the others get it
$path = fresh(body => 'old', ETag => '"1"');
ask("GET /brief/$port$path");
my $old = time + 1.1;       # by then it is, for all of them
$origin->says($path, body => 'new', delay => 1.5, ETag => '"2"');
my @got;
wait_for(20, sub { time > $old });
my $asks = sub { my $res = ask("GET /brief/$port$path"); return { says => $res->{says}, body => $res->{body} } };
ok wait_for(20, sub { @got = together(6, $asks); scalar grep { $_->{body} eq 'new' } @got }), 'in time it is too old';
is scalar(grep { "$_->{says} $_->{body}" eq 'fwd=stale; stored new' } @got), 1, 'one asks';
is scalar(grep { $_->{says} =~ /^hit/ && $_->{body} eq 'old' } @got), 5, 'and the others get what there is';
cmp_ok scalar(grep { $_->{says} eq 'hit; detail=STALE_WHILE_REVALIDATE' } @got), '>', 0, 'which is said to be old';
is asked($path), 2, 'so the origin is asked once more';

# the origin fails: what was is served where the family says so
for my $case (['failing', '500', 'old', status => 500], ['failing', 'says nothing', 'old', raw => '', close => 1]) {
    my ($family, $what, $expected, %answer) = @$case;
    $path = fresh(body => 'old');
    ask("GET /$family/$port$path");
    $origin->says($path, body => 'bad', %answer);
    my $res;
    ok wait_for(20, sub { $res = ask("GET /$family/$port$path"); $res->{says} ne 'hit' }), "$family: too old, and the origin $what";
    is "$res->{status} $res->{says} $res->{body}", "200 fwd=stale; detail=STALE_IF_ERROR $expected", 'the old answer';
    $origin->says($path, body => 'well');
    is ask("GET /$family/$port$path")->{body}, 'well', 'until it is well again';
}

# cold: one builds. Eight, since half of a child's threads are
$path = fresh(body => 'built', delay => 2);
$before = counts();
@got = together(8, sub { my $res = ask("GET /long/$port$path"); return { says => $res->{says}, body => $res->{body} } });
is join(' ', map { $_->{body} } @got), join(' ', ('built') x 8), 'eight ask for what is not there';
is asked($path), 1, 'the origin hears of one';
my $waited = grep { $_->{says} eq 'hit; collapsed' } @got;
cmp_ok $waited, '>', 0, 'others waited for it';
is counts()->{HitsCollapsed}, $before->{HitsCollapsed} + $waited, 'which is counted';
# what turns out not to be kept is not waited for a second time, neither by those who waited nor by who comes next
for my $case (['a 404', status => 404], ['private', 'Cache-Control' => 'private'], ['too large', body => 'x' x 70000], ['Vary: *', Vary => '*']) {
    my ($what, %answer) = @$case;
    $path = fresh(delay => 1, %answer);
    my $began = time;
    @got = together(6, sub { return { status => ask("GET /long/$port$path")->{status} } });
    cmp_ok time - $began, '<', 5, "$what: none waits for one after the other";
    is asked($path), 6, 'each asks for himself';
    # who had waited for another, and then asked beside others, would be counted
    ok wait_for(60, sub {
        ask("GET /long/$port$path");
        $before = counts();
        together(6, sub { return { status => ask("GET /long/$port$path")->{status} } });
        return counts()->{NotAwaited} == $before->{NotAwaited};
    }), 'and who comes next asks at once';
}
# an origin that fails is spared: those who come together wait for one of them each time
$path = fresh(delay => 1, status => 500);
for (1, 2) {
    $before = counts();
    together(6, sub { return { status => ask("GET /long/$port$path")->{status} } });
    cmp_ok counts()->{NotAwaited}, '>', $before->{NotAwaited}, 'who waited for a 500 asks with the others';
}
# whose client goes away in the middle of it, does not build: one of those who wait does
$path = fresh(body => bytes(60000), chunked => 1, delay => 0.5, halt => 0.3);
my $gone = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!";
print $gone "GET /long/$port$path HTTP/1.1\r\nHost: localhost\r\n\r\n";
ok wait_for(20, sub { asked($path) }), 'one asks';
setsockopt $gone, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
close $gone;
@got = together(6, sub { my $res = ask("GET /long/$port$path"); return { says => $res->{says}, whole => $res->{body} eq bytes(60000) } });
is scalar(grep { $_->{whole} } @got), 6, 'and goes away: six others get it';
is asked($path), 2, 'of whom one asks';
is scalar(grep { $_->{says} eq 'hit; collapsed' } @got), 5, 'and the others wait for him';

# and nobody waits for ever
$path = fresh(body => 'slow', delay => $wait + 2);
@got = together(3, sub { my $began = time; my $res = ask("GET /long/$port$path"); return { says => $res->{says}, took => time - $began } });
is asked($path), 3, 'who waited too long asks himself';
is scalar(grep { $_->{says} eq 'hit; collapsed' } @got), 0, 'all of them';

# half of a child's threads wait, not more
SKIP: {
    skip 'a child has one thread', 2 if ($ENV{TEST_MPM} || 'event') eq 'prefork';
    $path = fresh(body => 'wanted', delay => 2);
    $before = counts();
    @got = together(40, sub { return { body => ask("GET /long/$port$path")->{body} } });
    is scalar(grep { $_->{body} eq 'wanted' } @got), 40, 'forty ask';
    ok asked($path) > 1 && counts()->{NotAwaited} > $before->{NotAwaited}, 'not all of them wait';
}

# bounded, and shared out: one organisation asks for more than there is room for, and another's stays
my $kept = fresh(body => bytes(10000));
my $many = fresh(body => bytes(20000));
ask("GET /mine/$port$kept", by => [91, 1]);
ask("GET /mine/$port$many?n=$_", by => [92, 1]) for 1 .. 120;
is ask("GET /mine/$port$kept", by => [91, 1])->{says}, 'hit', 'what another has is his';
is ask("GET /mine/$port$many?n=120", by => [92, 1])->{says}, 'hit', 'what was asked for last is there';
is ask("GET /mine/$port$many?n=1", by => [92, 1])->{says}, 'fwd=uri-miss; stored', 'what was asked for first is not';
my $now = counts();
cmp_ok $now->{Bytes}, '<=', $now->{Size}, 'bounded';
cmp_ok $now->{Size}, '<', 1 << 20, 'by EdgeCacheSize';
cmp_ok $now->{Evicted}, '>', 0, 'by what had to go';

# reloads: it is kept, but in another size
$path = fresh(body => 'through');
ask("GET /long/$port$path");
$httpd->graceful;
is ask("GET /long/$port$path")->{says}, 'hit', 'a reload keeps it';
$httpd->restart;
is ask("GET /long/$port$path")->{says}, 'hit', 'so does a restart';
for my $other ("EdgeCacheSize 2M\nEdgeCacheMaxEntry 64K\n", "EdgeCacheSize 2M\nEdgeCacheMaxEntry 128K\n", $lines) {
    $httpd->configure(lines => settings($other))->graceful;
    ok wait_for(20, sub { ask("GET /long/$port$path")->{says} eq 'fwd=uri-miss; stored' }), 'another size is another store';
    is ask("GET /long/$port$path")->{says}, 'hit', 'which is used';
    $httpd->graceful;
    is ask("GET /long/$port$path")->{says}, 'hit', 'and kept';
}
my ($status, $took) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
