# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Validators and conditions, whatever a response comes from: a backend with or without its own tags, the cache, a
# file of ours; encoded or not; over HTTP/1.1 and HTTP/2 (http-semantics.md 5, B22-B26).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask at_edge caller_of faces status_of unzip);
use Http qw(h2 has_h2 problem);
use My::Log qw(expect_error);
use Origin ();
use Test::More;

my $origin = Origin->new('validators');
my $port = $origin->port;
my @by = (by => [21, 1]);
my $text = '{"data":[' . join(',', map { qq({"id":$_,"name":"n$_"}) } 1 .. 200) . ']}';
my $date = 'Thu, 01 Oct 2026 10:00:00 GMT';
$origin->says('/bare', body => $text);
$origin->says('/own', body => $text, ETag => '"v1"', 'Last-Modified' => $date, 'Content-Location' => '/own.json');
$origin->says('/weak', body => $text, ETag => 'W/"v1"');
$origin->says('/bad', body => $text, ETag => 'v1"');
$origin->says('/dated', body => $text, 'Last-Modified' => $date);
$origin->says('/chunks', body => $text, chunked => 1);
$origin->says('/small', body => '{}');
$origin->says('/empty', body => '');

my %coding = (identity => '', gzip => '-gzip', br => '-br');

sub get { my ($path, @fields) = @_; return ask("GET $path", @by, @fields) }

# What a 304 must say as its 200 does
sub shared { my $h = shift->{header}; return join "\n", map { "$_: " . ($h->{$_} // '') } qw(etag vary cache-control content-location last-modified) }

for my $where (['/plain', 'from its origin'], ['/ledger', 'from the cache'], ['/reports', 'from another cache']) {
    my ($prefix, $name) = @$where;
    for my $path (qw(/bare /own /weak /dated /chunks)) {
        my %tag;
        for my $coding (sort keys %coding) {
            my @accept = ('Accept-Encoding' => $coding);
            my $what = "$prefix/$port$path";
            my $res = get($what, @accept);
            is $res->{status}, 200, "$what as $coding, $name";
            is $res->{header}{'content-encoding'}, $coding eq 'identity' ? undef : $coding, 'is that';
            is unzip($res), $text, 'and says it all';
            my $tag = $res->{header}{etag};
            like $tag, $path eq '/own' ? qr/^"v1$coding{$coding}"$/ : $path eq '/weak' ? qr{^W/"v1$coding{$coding}"$} : qr/^"~[\w-]{22}$coding{$coding}"$/,
                'with a tag of its own';
            ok !$tag{$tag}++, 'that no other has';
            is $res->{header}{vary}, 'Accept-Encoding', 'and Vary';
            for my $list ($tag, "W/$tag" =~ s{^W/W/}{W/}r, "\"other\", $tag", "\"a,b\",$tag", '*', "\"other\"\t, $tag ,") {
                my $not = get($what, @accept, 'If-None-Match' => $list);
                is $not->{status}, 304, "304 to $list";
                is $not->{body}, '', 'without a body';
                is shared($not), shared($res), 'as its 200';
                is $not->{header}{'content-encoding'}, undef, 'nor its coding';
            }
            for my $list ('"other"', '"v2"', $tag =~ s/"$/x"/r, $tag =~ s/^"/"x/r . 'x', '"' . 'x' x 7000 . '"', '"unterminated', ',,,', 'x', $tag =~ s/"//gr, '" "') {
                my $all = get($what, @accept, 'If-None-Match' => $list);
                is $all->{status}, 200, '200 to ' . substr $list, 0, 30;
                is shared($all), shared($res), 'the same';
            }
            # HEAD is the same without the body
            my $head = ask("HEAD $what", @by, @accept);
            is "$head->{status} $head->{body}", '200 ', 'HEAD has no body';
            is shared($head), shared($res), 'and says the same';
            is $head->{header}{'content-length'} // length $res->{body}, length $res->{body}, 'its length as well, if any';
            is ask("HEAD $what", @by, @accept, 'If-None-Match' => $tag)->{status}, 304, 'and 304';
        }
        # each coding's tag is its own
        my @tags = sort keys %tag;
        # (a backend that is asked itself knows no codings: it says that what the client has is good)
        is get("$prefix/$port$path", 'Accept-Encoding' => 'br', 'If-None-Match' => join ', ', grep { !/-br"/ } @tags)->{status},
            $prefix eq '/plain' && $path =~ /own|weak/ ? 304 : 200, 'the tag of another coding is no match';
    }

    # dates
    for my $path (qw(/own /dated)) {
        my $what = "$prefix/$port$path";
        is get($what, 'If-Modified-Since' => $date)->{status}, 304, "$what: not modified since its date";
        is get($what, 'If-Modified-Since' => 'Fri, 02 Oct 2026 10:00:00 GMT')->{status}, 304, 'nor since a later one';
        is get($what, 'If-Modified-Since' => 'Thursday, 01-Oct-26 10:00:00 GMT')->{status}, 304, 'in the old form as well';
        for my $other ('Wed, 30 Sep 2026 10:00:00 GMT', 'Thu, 01 Jan 1960 00:00:00 GMT', 'yesterday', '', '0', 'Thu, 01 Oct 2026') {
            is get($what, 'If-Modified-Since' => $other)->{status}, 200, "200 to \"$other\"";
        }
        my $tag = get($what)->{header}{etag};
        for my $since ('Wed, 30 Sep 2026 10:00:00 GMT', 'Thu, 01 Jan 2099 00:00:00 GMT', 'nonsense', $date) {
            is get($what, 'If-None-Match' => $tag, 'If-Modified-Since' => $since)->{status}, 304, 'a tag that matches wins over a date';
            is get($what, 'If-None-Match' => '"other"', 'If-Modified-Since' => $since)->{status}, 200, 'and so does one that does not';
        }
    }

    # the same of what is not kept yet
    for my $coding (sort keys %coding) {
        my $n = 0;
        my $new = sub { my $path = '/new' . $prefix =~ tr/a-z//cdr . $coding . $n++; $origin->says($path, body => $text, @_); return "$prefix/$port$path" };
        my $want = get($new->(), 'Accept-Encoding' => $coding);
        my $not = get($new->(), 'Accept-Encoding' => $coding, 'If-None-Match' => $want->{header}{etag});
        is "$not->{status} $not->{body}", '304 ', "$prefix, $coding: a 304 from the start";
        is shared($not), shared($want), 'as its 200';
        $not = get($new->(ETag => '"n"'), 'Accept-Encoding' => $coding, 'If-None-Match' => qq("n$coding{$coding}"));
        is "$not->{status} $not->{header}{etag} " . faces($not), "304 \"n$coding{$coding}\" " . faces($want), 'by its origin\'s tag as well';
        my $part = get($new->(ETag => '"n"'), 'Accept-Encoding' => $coding, Range => 'bytes=5-9');
        is "$part->{status} $part->{body} " . faces($part), '206 ' . substr($text, 5, 5) . ' ' . faces($want), 'and a part';
        is get($new->(chunked => 1), 'Accept-Encoding' => $coding, Range => 'bytes=5-9')->{status}, 206, 'of what came in pieces, too';
    }

    # what must be there
    my $what = "$prefix/$port/own";
    expect_error('AH\d+: .*412');
    is get($what, 'If-Match' => $_)->{status}, 200, "If-Match $_" for '"v1"', '*', '"x", "v1"';
    for my $tag ('"v2"', 'W/"v1"', '"v1-br"') {
        my $res = get($what, 'If-Match' => $tag);
        is $res->{status}, 412, "If-Match $tag is no match";
        is problem($res)->{code}, 'precondition_failed', 'and a problem';
        is faces($res), 'no-store', 'that nobody keeps';
    }
    is get($what, 'If-Unmodified-Since' => $date)->{status}, 200, 'unmodified since';
    is get($what, 'If-Unmodified-Since' => 'Wed, 30 Sep 2026 10:00:00 GMT')->{status}, 412, 'modified since';

    # ranges are of what is not encoded
    for my $case (['bytes=0-', 206, $text], ['bytes=2-5', 206, substr $text, 2, 4], ['bytes=-4', 206, substr $text, -4], ['bytes=0-0', 206, '{'],
        ['bytes=5-3', 200, $text], ['bytes=-0', 200, $text], ['bytes=99999999-', 416], ['bytes=9223372036854775808-', 200, $text], ['lines=1-2', 200, $text],
        ['bytes=' . join(',', map { "$_-$_" } 1 .. 1000), 200, $text]) {
        my ($range, $status, $body) = @$case;
        my $res = get($what, Range => $range, 'Accept-Encoding' => 'br, gzip');
        is $res->{status}, $status, 'Range ' . substr $range, 0, 30;
        is $res->{header}{'content-encoding'}, undef, 'not encoded';
        is $res->{body}, $body, 'what was asked for' if defined $body;
        is $res->{header}{etag}, '"v1"', 'of its tag' if $status == 206;
    }
    is get($what, Range => 'bytes=0-1', 'If-Range' => '"v1"')->{status}, 206, 'If-Range that matches';
    is get($what, Range => 'bytes=0-1', 'If-Range' => $_)->{status}, 200, "If-Range $_ that does not" for '"v2"', 'W/"v1"', '"v1-br"', 'Wed, 30 Sep 2026 10:00:00 GMT';
    is get($what, Range => 'bytes=0-1', 'If-None-Match' => '"v1"')->{status}, 304, 'a condition comes before a range';
    my $head = ask("HEAD $what", @by, Range => 'bytes=0-1');
    is "$head->{status} $head->{body}", '206 ', 'a range of a header has no body' if $head->{status} == 206;
    like $head->{status}, qr/^20[06]$/, 'HEAD with a range';

    # small ones
    is get("$prefix/$port/small", 'Accept-Encoding' => 'br')->{header}{etag} =~ /-br/ ? 1 : 0, 0, 'what is small is not encoded';
    my $empty = get("$prefix/$port/empty", 'Accept-Encoding' => 'br');
    is "$empty->{status} $empty->{body}", '200 ', 'nothing is nothing';
    is get("$prefix/$port/empty", 'If-None-Match' => $empty->{header}{etag})->{status}, 304, 'and has a tag';
    like get("$prefix/$port/bad")->{header}{etag}, qr/^"~[\w-]{22}"$/, 'a tag that is none is replaced';
}

# a backend is asked by its own tags, where nothing is kept here
$origin->forget('/own');
get("/plain/$port/own", 'Accept-Encoding' => 'br', 'If-None-Match' => '"v1-br"');
like +($origin->asked('/own'))[0], qr/^If-None-Match: "v1"$/m, 'a backend is asked by the tag that it knows';
unlike +($origin->asked('/own'))[0], qr/^Accept-Encoding:/mi, 'and for what is not encoded';

# a write that is for one version of it
for my $prefix (qw(plain ledger)) {
    for my $case (['If-Match', '"v1-br"', '"v1", "v1-br"'], ['If-None-Match', '*', '*'], ['If-Match', '"v1"', '"v1"'],
        ['If-Match', '"v1-gzip", W/"v2-br","v3"', '"v1", W/"v2","v3", "v1-gzip", W/"v2-br","v3"']) {
        my ($name, $sent, $told) = @$case;
        $origin->forget('/own');
        ask("PUT /$prefix/$port/own", @by, $name => $sent, 'Content-Length' => 0);
        like +($origin->asked('/own'))[0], qr/^\Q$name: $told\E$/m, "$prefix: PUT with $name $sent is told by the tags that its origin may know";
    }
}

# who has nothing is not told that what he has is good
expect_error('OG1305: ');
$origin->says('/nothing-new', raw => "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n");
for my $prefix (qw(plain ledger)) {
    my $what = "/$prefix/$port/nothing-new";
    my $res = get($what);
    is "$res->{status} " . problem($res)->{code}, '502 bad_gateway', "$prefix: an origin that has nothing new for nobody";
    is ask("HEAD $what", @by)->{status}, 502, 'nor for HEAD';
    is get($what, 'If-Match' => '"v1"')->{status}, 502, 'nor for a condition of another kind';
    is get($what, @$_)->{status}, 304, "but for $_->[0]" for ['If-None-Match', '"v1"'], ['If-Modified-Since', $date];
}

# what has to be there comes before a part of it, which an origin that is not told of the condition would cut all the same
for my $prefix (qw(plain ledger)) {
    my @part = (Range => 'bytes=0-0');
    $origin->says("/parts/$prefix", body => 'new', ETag => '"p2"', 'Last-Modified' => $date);
    for my $case (['If-Match', '"p2"', 206], ['If-Match', '"p1"', 412], ['If-Unmodified-Since', $date, 206],
        ['If-Unmodified-Since', 'Wed, 30 Sep 2026 10:00:00 GMT', 412]) {
        my ($name, $value, $status) = @$case;
        is get("/$prefix/$port/parts/$prefix", @part, $name => $value)->{status}, $status, "$prefix: a part with $name $value";
    }
    unlike join('', $origin->asked("/parts/$prefix")), qr/^Range:/m, 'is cut here';
}
get("/plain/$port/parts/plain", Range => 'bytes=0-0');
like join('', $origin->asked('/parts/plain')), qr/^Range:/m, 'one without a condition by who has it';

# another organisation's tag means nothing but equal content
my $tag = get("/ledger/$port/bare")->{header}{etag};
$origin->says('/bare', body => '{"of":22}');
my $other = ask("GET /ledger/$port/bare", by => [22, 1], 'If-None-Match' => $tag);
is "$other->{status} $other->{body}", '200 {"of":22}', "another's tag brings one's own data";

# files of ours
my $file = get('/files/page.html');
is $file->{status}, 200, 'a file';
is get('/files/page.html', 'If-None-Match' => $file->{header}{etag})->{status}, 304, 'that the client has';
is shared(get('/files/page.html', 'If-None-Match' => $file->{header}{etag})), shared($file), 'as its 200';

SKIP: {
    skip 'no HTTP/2 with prefork', 6 unless has_h2();
    my @fields = (Authorization => caller_of(org => 21, user => 1), 'Accept-Encoding' => 'br');
    for my $prefix (qw(plain ledger)) {
        my $res = h2(Edge::port('edge'), "GET /$prefix/$port/own", @fields);
        is "$res->{status} $res->{header}{etag}", '200 "v1-br"', "$prefix over HTTP/2";
        my $not = h2(Edge::port('edge'), "GET /$prefix/$port/own", @fields, 'If-None-Match' => '"v1-br"');
        is "$not->{status} $not->{body}", '304 ', 'and its 304';
        is shared($not), shared($res), 'as its 200';
    }
}
done_testing;
