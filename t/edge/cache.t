# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The origin's cache: whose entries are whose, what is asked for when there is none, and that nothing but the key
# has a say in what is kept (B18, B19, B20, B23).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask at_edge caller_of faces status_of unzip);
use Http qw(exchange h2 has_h2 port_of request);
use Origin ();
use Test::More;

my $origin = Origin->new('cache');
my $port = $origin->port;
my $count = 0;

# A path of its own for each question, so that nothing is known of it.
sub fresh { my %answer = (body => 'x' x 100, @_); my $path = '/p' . $count++; $origin->says($path, %answer); return $path }
sub asked { my $path = shift; return scalar(my @heads = $origin->asked($path)) }

# who shares an entry with whom
my @who = (
    { org => 31, user => 1, role => 'manager', properties => [1, 2] },
    { org => 31, user => 2, role => 'manager', properties => [2, 1] },      # sees the same
    { org => 31, user => 3, role => 'manager', properties => [1] },
    { org => 31, user => 4, role => 'staff', properties => [1, 2] },
    { org => 31, user => 5, role => 'owner' },
    { org => 31, user => 6, role => 'owner' },                              # sees the same
    { org => 32, user => 1, role => 'manager', properties => [1, 2] },
    { org => 3, user => 11, role => 'manager', properties => [1, 2] },
);
my $path = fresh();
is status_of(ask("GET /ledger/$port$path", by => $_)), 'fwd=uri-miss; stored', 'the first of his kind asks the origin' for @who[0, 2, 3, 4, 6, 7];
is status_of(ask("GET /ledger/$port$path", by => $_)), 'hit', 'each other is answered' for @who;
is asked($path), 6, 'six kinds, six questions';
$path = fresh();
ask("GET /mine/$port$path", by => $_) for @who, @who;
is asked($path), 8, 'where it is one\'s own, each asks once';
$path = fresh();
ask("GET /assets/$port$path", $_ ? (by => $_) : ()) for @who, undef;
is asked($path), 1, 'what is public is asked for once';

my @by = (by => $who[0]);
for my $case (['ledger', 1], ['client', 2], ['none', 2], ['plain', 2]) {
    my ($family, $times) = @$case;
    $path = fresh();
    ask("GET /$family/$port$path", @by) for 1, 2;
    is asked($path), $times, "$family: asked $times times";
}

# what is another thing
for my $pair (['?a=1', '?a=2'], ['', '?'], ['?a', '?b'], ['?a', '?a='], ['?b=1&a', '?b=1&a='], ['?a=b%26c=d', '?a=b&c=d'], ['?a=1&a=2', '?a=2&a=1'], ['?a=%zz', '?a=%zy'],
    ['?x=1%00', '?x=1'], ['%3fa=1', '?a=1'], ['%23', ''], ['/x.css', ''], [';x.css', ''], ['%3b', '']) {
    my ($one, $other) = @$pair;
    $path = fresh();
    my $file = $path . ($one =~ s/\?.*//r);
    $origin->says($file, body => 'one') if $file ne $path;
    ask("GET /ledger/$port$path$one", @by);
    my $res = ask("GET /ledger/$port$path$other", @by);
    my $same = $one eq '' && $other eq '?';
    is status_of($res), $same ? 'hit' : 'fwd=uri-miss; stored', "'$one' is " . ($same ? '' : 'not ') . "'$other'" unless $res->{status} == 404;
    isnt status_of($res), 'hit', "'$one' is not '$other'" unless $same;
}
# and what is the same
for my $pair (['?b=2&a=1', '?a=1&b=2'], ['?a=%41', '?a=A'], ['?a=x+y', '?a=x%20y'], ['?a=1&', '?a=1'], ['?a=&b=', '?b=&a='], ['?b=1&a', '?a&b=1']) {
    my ($one, $other) = @$pair;
    $path = fresh();
    ask("GET /ledger/$port$path$one", @by);
    is status_of(ask("GET /ledger/$port$path$other", @by)), 'hit', "'$one' is '$other'";
}
# fields= is one thing however it is spelt
$path = fresh(body => '{"id":1,"a":2,"b":3}');
ask("GET /pruned/$port$path?fields=a,b&x=1", @by);
is status_of(ask("GET /pruned/$port$path?x=1&fields=b,a", @by)), 'hit', 'the same fields in another order';
is ask("GET /pruned/$port$path?x=1&fields=b", @by)->{body}, '{"id":1,"b":3}', 'other fields are another thing';
is ask("GET /pruned/$port$path?x=1", @by)->{body}, '{"id":1,"a":2,"b":3}', 'and so are all';
$path = fresh();
ask("GET /ledger/$port$path", @by);
for my $spelling ("/ledger/$port/.$path", "/ledger/$port/$path", "/ledger//$port$path", "/%6cedger/$port$path", "/ledger/$port/x/..$path") {
    isnt status_of(ask("GET $spelling", @by)), 'hit', "$spelling is spelt otherwise, so it may be another thing to its origin";
}
for my $host ('other.test', 'localhost:99', 'LOCALHOST', '') {
    my $res = Http::parse(exchange(Edge::port('edge'), "GET /ledger/$port$path HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n"
        . 'Authorization: ' . caller_of(%{ $who[0] }) . "\r\n\r\n"));
    is status_of($res), $host eq 'LOCALHOST' ? 'hit' : 'fwd=uri-miss; stored', "host '$host' is another thing, but for its case" if $res->{status} == 200;
}

# nothing that is not in the key reaches the origin, where others get the answer
my %poison = ('X-Forwarded-Host' => 'evil.test', 'X-Forwarded-Proto' => 'gopher', 'X-Original-URL' => '/admin', 'X-Rewrite-URL' => '/admin',
    'X-HTTP-Method-Override' => 'DELETE', 'X-Host' => 'evil.test', Forwarded => 'host=evil.test', Cookie => 'evil=1', 'X-Forwarded-For' => '1.2.3.4',
    'X-Real-IP' => '1.2.3.4', 'Accept-Encoding' => 'evil', 'If-None-Match' => '"evil"', 'If-Modified-Since' => 'evil', Range => 'bytes=0-0', 'If-Range' => '"evil"',
    'Cache-Control' => 'evil', Pragma => 'evil', 'X-Org-Key' => 'evil', 'X-HTTP-Method' => 'evil',
    'X-Forwarded-Ssl' => 'evil', 'X_Forwarded_Protocol' => 'evil', 'X-Forwarded-Anything' => 'evil', 'Front-End-Https' => 'evil', 'X-Url-Scheme' => 'evil',
    'X-HTTP-Host-Override' => 'evil', 'X-Original-Method' => 'evil');
$path = fresh();
ask("GET /ledger/$port$path", @by, %poison);
my ($seen) = $origin->asked($path);
unlike $seen, qr/evil|gopher|1\.2\.3\.4|DELETE|bytes=/i, 'the origin sees none of it';
is ask("GET /ledger/$port$path", @by)->{body}, 'x' x 100, 'and what is kept is all of it';
is asked($path), 1, 'for the next';
# nor where an edge keeps it for others and we do not
for my $family (qw(bare ledger)) {
    $path = fresh();
    is faces(at_edge("GET /$family/$port$path", @by, %poison)), faces(at_edge("GET /ledger/$port$path", @by)), "$family: an edge keeps it";
    unlike +($origin->asked($path))[0] =~ s/^If-.*\n//gmr, qr/evil|gopher|1\.2\.3\.4|DELETE/i, 'and the origin sees none of it but of versions';
}
$path = fresh();
ask("GET /plain/$port$path", @by, Cookie => 'a=b');
like +($origin->asked($path))[0], qr/^Cookie: a=b$/m, 'where nothing is kept, it sees cookies';
# what the origin says that it chooses by is chosen by
$path = fresh(Vary => 'Accept-Language, Accept-Encoding', body => 'y' x 3000);
ask("GET /ledger/$port$path", @by, 'Accept-Language' => $_) for qw(de en de en);
is asked($path), 2, 'a language each';
like ask("GET /ledger/$port$path", @by, 'Accept-Language' => 'de', 'Accept-Encoding' => 'br')->{header}{vary}, qr/^Accept-Language, ?Accept-Encoding$/, 'and says so';
$path = fresh(Vary => '*');
ask("GET /ledger/$port$path", @by) for 1, 2;
is asked($path), 2, 'by everything: not kept';

# methods
$path = fresh();
my $head = ask("HEAD /ledger/$port$path", @by);
is "$head->{status} $head->{body} $head->{header}{'content-length'}", '200  100', 'HEAD first';
is status_of(ask("GET /ledger/$port$path", @by)), 'hit', 'makes an entry for GET';
is status_of(ask("HEAD /ledger/$port$path", @by)), 'hit', 'and is answered by it';
like +($origin->asked($path))[0], qr/^GET /, 'it was asked for as GET';
$path = fresh();
is ask("POST /ledger/$port$path", @by, 'Content-Length' => 0)->{status}, 200, 'POST';
is asked($path), 1, 'is not from a cache';
is status_of(ask("GET /ledger/$port$path", @by)), 'fwd=uri-miss; stored', 'nor into one';

# a client that wants it anew, or not kept, asks for what epochs give anyway
$path = fresh();
ask("GET /ledger/$port$path", @by);
is status_of(ask("GET /ledger/$port$path", @by, 'Cache-Control' => $_)), 'hit', "$_: a hit all the same" for 'no-cache', 'max-age=0', 'no-store', 'min-fresh=999999';
# an old tag is no reason to ask the origin
is status_of(ask("GET /ledger/$port$path", @by, 'If-None-Match' => '"old"')), 'hit', 'nor is a tag of yesterday';

# encodings: made once, kept as they are
$path = fresh(body => join ',', 1 .. 2000);
for my $coding (qw(br gzip identity)) {
    is status_of(ask("GET /ledger/$port$path", @by, 'Accept-Encoding' => $coding)), 'fwd=uri-miss; stored', "$coding is made";
    my $res = ask("GET /ledger/$port$path", @by, 'Accept-Encoding' => "$coding, x");
    is status_of($res), 'hit', 'and kept';
    is unzip($res), join(',', 1 .. 2000), 'as it is';
    ok $res->{header}{'content-length'}, 'with its length';
}
is status_of(ask("GET /ledger/$port$path", @by, 'Accept-Encoding' => 'gzip;q=0.9, deflate, br;q=1.0')), 'hit', 'by what is chosen, not by how it is said';

# what its origin encoded is kept by the coding that was chosen, too
$path = fresh('Content-Encoding' => 'gzip', Vary => 'Accept-Encoding');
is status_of(ask("GET /ledger/$port$path", @by, 'Accept-Encoding' => 'gzip')), $_, "encoded by its origin: $_" for 'fwd=uri-miss; stored', 'hit';

# mod_cache without a word of ours: who is verified has entries of his own
my %stock;
for my $who (@who, @who) {
    my $res = request(port_of('edge'), 'GET /stock/page.html', Authorization => caller_of(%$who));
    $stock{ $res->{header}{age} // 'new' }++;
}
is $stock{new}, 8, 'eight callers, eight entries';

SKIP: {
    skip 'no HTTP/2 with prefork', 2 unless has_h2();
    $path = fresh();
    is status_of(h2(port_of('edge'), "GET /ledger/$port$path", Authorization => caller_of(%{ $who[0] }))), 'fwd=uri-miss; stored', 'HTTP/2 asks';
    is status_of(h2(port_of('edge'), "GET /ledger/$port$path", Authorization => caller_of(%{ $who[1] }))), 'hit', 'and is answered';
}
done_testing;
