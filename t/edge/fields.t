# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# fields= and expand= before any backend (P§22, http-semantics.md 6): of its JSON what is asked for, byte
# by byte; what can't be pruned passes as it is; what is malformed is refused before anybody is asked.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Digest::SHA qw(sha256_hex);
use Edge qw(status_of unzip);
use Http qw(h2 has_h2 port_of problem request);
use IO::Compress::Gzip qw(gzip);
use JSON::PP ();
use My::Log qw(expect_error log_mark log_since);
use Origin ();
use Test::More;

my %bytes = (ETag => '"origin"', 'Last-Modified' => 'Thu, 01 Jan 2026 00:00:00 GMT', 'Content-MD5' => 'AAAAAAAAAAAAAAAAAAAAAA==',
    Digest => 'sha-256=AAAA', 'Content-Digest' => 'sha-256=:AAAA:', 'Repr-Digest' => 'sha-256=:AAAA:');
my $row = '{ "id": 7, "amountCents": 1.250E+3, "description": "caf\u00e9 \/ ' . "\xc3\xa9" . '", "status":"open", "tags": [ "a", 1 ],'
    . ' "lines": [{"sku":"x","qty":1},{"sku":"y","qty":2}], "big": 123456789012345678901234567890 }';
my $list = qq({"data":[$row,{"id":8,"status":null}],"nextCursor":"c1"});
my $nested = '{"a":1,"n":' . '[' x 31 . '1' . ']' x 31 . '}';
my $large = '{"data":[' . join(',', map { qq({"id":$_,"a":"x","b":") . 'y' x 100 . '"}' } 1 .. 20_000) . ']}';
my $medium = '{"data":[' . join(',', map { qq({"id":$_,"a":"x","b":") . 'y' x 100 . '"}' } 1 .. 6_000) . ']}';
gzip(\$list => \my $zipped) or die 'gzip';
my %bad = (
    'cut off'  => '{"id":1,"a":', trailing => '{"id":1}x', comma => '{"id":1,}', number => '{"id":01}', word => '{"id":nul}', quote => "{'id':1}",
    twice      => '{"id":1,"a":1,"a":2}', spelt => '{"id":1,"a":1,"\u0061":2}', utf8 => "{\"id\":\"\xff\"}", surrogate => '{"id":"\ud800"}',
    bom        => "\xef\xbb\xbf{\"id\":1}", nul => "{\"id\":1}\0", deep => '{"id":' . '[' x 32 . ']' x 32 . '}', deeper => '[' x 100_000, empty => '',
    control    => "{\"id\":\"a\nb\"}", escape => '{"id":"\x41"}', lines => "{\"id\":1}\n{\"id\":2}\n");
my %answers = (
    '/list'      => { body => $list, %bytes },
    '/object'    => { body => $row },
    '/array'     => { body => "[$row]" },
    '/chunked'   => { raw => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        . join('', map { "1\r\n$_\r\n" } split //, $list) . "0\r\n\r\n" },
    '/report'    => { body => '{"date":"2026-01-01","totalReceivedCents":5,"transactions":[{"id":1,"x":2}],"rooms":{"n":1},"note":null}' },
    '/items'     => { body => '{"data":[1],"items":[{"a":1,"b":2}],"a":3}' },
    '/none'      => { body => '{"data":[]}' },
    '/scalar'    => { body => '42' },
    '/deep'      => { body => $nested },
    '/suffix'    => { body => $row, 'Content-Type' => 'application/vnd.api+json; charset=utf-8' },
    '/upper'     => { body => $row, 'Content-Type' => 'Application/JSON;charset=UTF-8' },
    '/hostile'   => { body => '{"id":1,"a":1,"x\r\nX-Evil: 1":2,"y,z":3,"q w":4,"\u00e9":5,"ok_1":6,"' . 'l' x 65 . '":7}' },
    '/medium'    => { body => $medium },
    # what passes as it is
    '/text'      => { body => $list, 'Content-Type' => 'text/plain' },
    '/json-seq'  => { body => $list, 'Content-Type' => 'application/json-seq' },
    '/gzip'      => { body => $zipped, 'Content-Encoding' => 'gzip', %bytes },
    '/coded'     => { body => $list, 'Content-Encoding' => 'exi', %bytes },
    '/kept'      => { body => $list, 'Cache-Control' => 'max-age=5, no-transform', %bytes },
    '/kept-too'  => { body => $list, 'Cache-Control' => ['max-age=5', 'no-transform'], %bytes },
    '/own'       => { body => '{"status":1}', 'X-Fields-Returned' => 'status', 'X-Fields-Available' => 'status,more' },
    '/large'     => { body => $large, %bytes },
    '/large-chunked' => { body => $large, chunked => 1 },
    '/created'   => { body => $list, status => 203 },
    '/error'     => { body => $list, status => 503 },
    '/1024'      => { body => '{"a":1,"b":"' . 'y' x 1008 . '"}  ' },
    '/1025'      => { body => '{"a":1,"b":"' . 'y' x 1008 . '"}   ' },
    '/cut'       => { raw => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"id\":1}", close => 1 },
    (map { ("/bad/" . s/ /-/gr => { body => $bad{$_}, %bytes }) } keys %bad),
);
my $backend = Origin->new('fields');
$backend->says($_, %{ $answers{$_} }) for keys %answers;
my $port = port_of('edge_fields');

# Requests that the backend got for a path, since it was looked at last: first line and more
sub asked { my $path = shift; my @heads = $backend->asked($path); $backend->forget($path); return @heads }

# The answer to a path of the backend; h2 => 1: over HTTP/2
sub ask {
    my ($path, %opt) = @_;
    my ($method, $where) = ($opt{method} // 'GET', $opt{where} // 'fields');
    my @fields = @{ $opt{fields} // [] };
    my $url = "/$where/" . $backend->port . $path;
    my $res = $opt{h2} ? h2($port, "$method $url", @fields) : request($port, "$method $url", @fields);
    $res->{body} = Edge::dechunk($res->{body}) if ($res->{header}{'transfer-encoding'} // '') eq 'chunked';
    return $res;
}

sub names { my $header = shift->{header}; return join ' ', map { $header->{"x-fields-$_"} // '-' } qw(returned available) }

# A refusal: its code; or what is wrong with it
sub refusal {
    my $res = shift;
    my $problem = problem($res);
    return "status $res->{status}" if $res->{status} != 400 || ($problem->{status} // 0) != 400;
    return "cache $res->{header}{'cache-control'}" if $res->{header}{'cache-control'} !~ /\bno-store\b/;
    return 'of the origin: ' . $res->{header}{etag} if ($res->{header}{etag} // '') =~ /origin/;
    return 'says what was kept' if names($res) ne '- -';
    return 'length' if length $res->{body} != ($res->{header}{'content-length'} // length $res->{body});
    return "no sentence: $problem->{detail}" if $problem->{detail} !~ /^[A-Z].{20,}\.$/;
    return $problem->{code};
}

my $all = 'id,amountCents,description,status,tags,lines,big';
my @kept = (
    # path, query, body, returned, available
    ['/list', 'fields=id,status', '{"data":[{"id":7,"status":"open"},{"id":8,"status":null}],"nextCursor":"c1"}', 'id,status', $all],
    ['/list', 'fields=status', '{"data":[{"id":7,"status":"open"},{"id":8,"status":null}],"nextCursor":"c1"}', 'id,status', $all],
    ['/list', 'fields=big,amountCents', '{"data":[{"id":7,"amountCents":1.250E+3,"big":123456789012345678901234567890},{"id":8}],"nextCursor":"c1"}',
     'id,amountCents,big', $all],
    ['/list', 'fields=tags,lines(qty)', '{"data":[{"id":7,"tags":[ "a", 1 ],"lines":[{"qty":1},{"qty":2}]},{"id":8}],"nextCursor":"c1"}', 'id,tags,lines', $all],
    ['/chunked', 'fields=description', '{"data":[{"id":7,"description":"caf\u00e9 \/ ' . "\xc3\xa9" . '"},{"id":8}],"nextCursor":"c1"}', 'id,description', $all],
    ['/object', 'page=2&page=3&fields=status&x=%zz', '{"id":7,"status":"open"}', 'id,status', $all],
    ['/object', 'f%69elds=stat%75s', '{"id":7,"status":"open"}', 'id,status', $all],
    ['/array', 'fields=id', '[{"id":7}]', 'id', $all],
    ['/suffix', 'fields=id', '{"id":7}', 'id', $all],
    ['/upper', 'fields=id', '{"id":7}', 'id', $all],
    ['/report', 'fields=date,totalReceivedCents&expand=transactions', '{"date":"2026-01-01","totalReceivedCents":5,"transactions":[{"id":1,"x":2}]}',
     'date,totalReceivedCents,transactions', 'date,totalReceivedCents,transactions,rooms,note'],
    ['/report', 'expand=date,rooms,note&fields=date', '{"date":"2026-01-01","rooms":{"n":1},"note":null}', 'date,rooms,note',
     'date,totalReceivedCents,transactions,rooms,note'],
    ['/report', 'fields=transactions(x)', '{"transactions":[{"x":2}]}', 'transactions', 'date,totalReceivedCents,transactions,rooms,note'],
    ['/deep', 'fields=n', '{"n":' . '[' x 31 . '1' . ']' x 31 . '}', 'n', 'a,n'],
    ['/none', 'fields=whatever', '{"data":[]}', '-', '-'],
    ['/scalar', 'fields=whatever', '42', '-', '-'],
    ['/hostile', 'fields=ok_1', '{"id":1,"ok_1":6}', 'id,ok_1', 'id,a,ok_1'],
);
for my $h2 (0, has_h2() ? 1 : ()) {
    my $how = $h2 ? 'HTTP/2: ' : '';
    for my $case (@kept) {
        my ($path, $query, $body, $returned, $available) = @$case;
        asked($path);
        my $res = ask("$path?$query", h2 => $h2);
        is_deeply [@$res{qw(status body)}, names($res)], [200, $body, "$returned $available"], "$how$path?$query";
        is $res->{header}{'content-length'} // length $body, length $body, 'with its length';
        unlike $res->{raw}, qr/"origin"|01 Jan 2026|AAAA|evil/i, 'and without what the origin said of other bytes';
        is_deeply [map { /^GET (\S+)/ } asked($path)], ["$path?$query"], 'the backend got the query as it was';
    }
}
my $res = ask('/medium?fields=a');
is sha256_hex($res->{body}), sha256_hex('{"data":[' . join(',', map { qq({"id":$_,"a":"x"}) } 1 .. 6_000) . ']}'), '700 KB are pruned';

# nothing is asked for, or by somebody who can't
for my $query ('', '?', '?x=1', '?Fields=status', '?fields%5B%5D=status', '?afields=status', '?x=fields=status', '?expand=tags', '?expand=status', '?%zz&%00=1') {
    $res = ask("/object$query");
    is_deeply [@$res{qw(status body)}, names($res)], [200, $row, '- -'], "all of it for '$query'";
}
$res = ask('/list?expand=lines');
is $res->{header}{etag}, '"origin"', 'expand alone leaves all as it is, validators as well';
for my $case (['/object?fields=status', method => 'POST', fields => ['Content-Length' => 0]], ['/object?fields=status', where => 'off'],
              ['/object?fields=(', where => 'off'], ['/object?fields=(', method => 'POST', fields => ['Content-Length' => 0]]) {
    $res = ask(@$case);
    is_deeply [@$res{qw(status body)}, names($res)], [200, $row, '- -'], "@$case[0 .. 2]: all of it";
}

# unknown names
my @unknown = (
    ['/list', 'fields=id,password', ['password'], $all],
    ['/list', 'fields=nextCursor', ['nextCursor'], $all],
    ['/object', 'fields=Status,zz,id', ['Status', 'zz'], $all],
    ['/object', 'fields=__proto__', ['__proto__'], $all],
    ['/object', 'fields=constructor,select,users', ['constructor', 'select', 'users'], $all],
    ['/object', 'fields=lines(qty,price),tags', ['lines.price'], $all],
    ['/object', 'fields=id&expand=rooms', ['rooms'], $all],
    ['/object', 'expand=rooms', ['rooms'], $all],
    ['/hostile', 'fields=x', ['x'], 'id,a,ok_1'],
);
for my $h2 (0, has_h2() ? 1 : ()) {
    for my $case (@unknown) {
        my ($path, $query, $names, $available) = @$case;
        $res = ask("$path?$query", h2 => $h2);
        is refusal($res), 'field_unknown', ($h2 ? 'HTTP/2: ' : '') . "$path?$query is refused";
        is_deeply problem($res)->{details}, { unknown => $names, available => [split /,/, $available] }, 'with what there is';
        unlike $res->{raw}, qr/"origin"|01 Jan 2026|AAAA|amountCents":|open/, 'and nothing else of the answer';
    }
}

# malformed selections (B50), with an answer that would fit or not
my $names32 = join ',', map { "f$_" } 1 .. 32;
my @malformed = ('fields=', 'fields', 'fields=&expand=', 'expand=', 'fields=id&expand=', 'fields=id,', 'fields=,id', 'fields=id,,status', 'fields=id,id',
    'fields=id,lines,lines(qty)', "fields=$names32,f33", "fields=$names32&expand=x", 'fields=' . join(',', map { "f$_" } 1 .. 1300),
    'fields=id%2c%00', 'fields=%00', 'fields=id%0d%0aX-Evil:1', 'fields=%ff', 'fields=%c0%a1', 'fields=%zz', 'fields=%', 'fields=*', 'fields=id;status',
    'fields=id%20', 'fields=+id', 'fields=id,+status', "fields=id'--", 'fields=%22id%22', "fields=id'%20OR%201=1", 'fields=1', 'fields=a.b', 'fields=a-b', 'fields=a/b',
    'fields=../id', 'fields=caf%c3%a9', 'fields=a(', 'fields=a()', 'fields=a(b', 'fields=a)', 'fields=a(b))', 'fields=a(b)c', 'fields=(a)', 'fields=a(b(c(d(e))))',
    'expand=a(b)', 'expand=' . join('(', map { "a$_" } 1 .. 10) . ')' x 9, 'fields=' . 'a' x 65, 'fields=' . 'a' x 4000, 'fields=id&fields=status',
    'fields=id&%66ields=id', 'expand=tags&expand=tags', 'fields=id&x=1&expand=tags&expand=lines', 'fields=<script>', 'fields={{7*7}}', 'fields=$ne', 'fields=id%09');
for my $query (@malformed) {
    asked('/object');
    $res = ask("/object?$query");
    is refusal($res), 'invalid_request', 'refused: ' . substr $query, 0, 60;
    unlike $res->{raw}, qr/evil|script|OR 1|7\*7/i, 'with nothing of it in the answer';
    is_deeply [asked('/object')], [], 'and nobody was asked';
}
my $too_long = ask('/object?fields=' . join ',', map { "f$_" } 1 .. 2500);
ok $too_long->{status} == 414 || $too_long->{status} == 400, '10 KiB are too long for anybody';
if (has_h2()) {
    is refusal(ask("/object?$_", h2 => 1)), 'invalid_request', "HTTP/2: $_" for 'fields=', 'fields=id,', 'expand=a(b)', 'fields=%00';
}
$res = ask("/none?fields=$names32");
is $res->{status}, 200, '32 names are not too many';

# what can't be pruned passes as it is
my $mark = log_mark();
my @untouched = (qw(/text /json-seq /gzip /coded /kept /kept-too /own /large /large-chunked /created), map { "/bad/" . s/ /-/gr } sort keys %bad);
for my $h2 (0, has_h2() ? 1 : ()) {
    for my $path (@untouched) {
        my $answer = $answers{$path};
        my $body = $answer->{body};
        $res = ask("$path?fields=status", h2 => $h2);
        is_deeply [$res->{status}, length $res->{body}, sha256_hex($res->{body})], [$answer->{status} // 200, length $body, sha256_hex($body)],
            ($h2 ? 'HTTP/2: ' : '') . "$path passes as it is";
        is names($res), $path eq '/own' ? 'status status,more' : '- -', 'and says so';
        is $res->{header}{etag}, $answer->{ETag}, 'with its validators';
    }
}
my $log = log_since($mark);
like $log, qr/OG1340: .*EdgeFieldsMaxBody/, 'the log says what was too large';
like $log, qr/OG1341: .*: $_ \(EdgeFields\)/, "the log says why: $_"
    for 'an object has a name twice', 'it nests deeper than 32 levels', 'something stands behind it', "a string has bytes that can't stand in one";
for my $path (qw(/nowhere /error)) {
    my $plain = ask($path);
    $res = ask("$path?fields=status");
    is_deeply [@$res{qw(status body)}, names($res)], [@$plain{qw(status body)}, '- -'], "an error's body ($plain->{status}) stays";
}
is ask('/1024?fields=a', where => 'small')->{body}, '{"a":1}', 'EdgeFieldsMaxBody is what is still pruned';
is names(ask('/1025?fields=a', where => 'small')), '- -', 'a byte more is not';

# envelopes
is ask('/items?fields=a', where => 'items')->{body}, '{"data":[1],"items":[{"a":1}],"a":3}', 'EdgeFieldsEnvelope names the list';
is ask('/items?fields=a', where => 'bare')->{body}, '{"a":3}', 'or none';
is ask('/items?fields=a')->{body}, '{"data":[1],"items":[{"a":1,"b":2}],"a":3}', 'it is data else';

# HEAD
$res = ask('/list?fields=id', method => 'HEAD');
is_deeply [@$res{qw(status body)}], [200, ''], 'HEAD';
unlike $res->{raw}, qr/"origin"|AAAA|^Content-Length: ${\length $list}\r$/m, 'says nothing of what GET does not answer with';
is refusal(ask('/list?fields=id,', method => 'GET')), 'invalid_request', 'a malformed selection';
is ask('/list?fields=id,', method => 'HEAD')->{status}, 400, 'is refused of HEAD as well';

# files; a folder's index is a redirect inside, of which APR's pool-debug has httpd abort itself (mod_dir merges the
# headers of the subrequest that it was)
my $folder = (Apache::Test::vars('defines') // '') =~ /POOL_DEBUG/ ? '/docs/index.json' : '/docs/';
my $file = '{"id":1,"size":12.50}';
for my $path ('/docs/index.json?fields=size', "$folder?fields=size") {
    $res = request($port, "GET $path");
    is_deeply [@$res{qw(status body)}, names($res)], [200, $file, 'id,size id,name,size'], "a file ($path)";
    is $res->{header}{'last-modified'}, undef, 'its time is of all of it';
}
$res = request($port, 'HEAD /docs/index.json?fields=size');
is_deeply [@$res{qw(status body)}, $res->{header}{'content-length'}, names($res)], [200, '', length $file, 'id,size id,name,size'], 'HEAD of a file is that of its GET';
is refusal(request($port, "GET $folder?fields=nothing")), 'field_unknown', 'an unknown name of a file';
is refusal(request($port, "GET $folder?fields=()")), 'invalid_request', 'a malformed one';
$res = request($port, 'GET /docs/index.json?fields=size', Range => 'bytes=0-6');
is_deeply [@$res{qw(status body)}], [206, substr $file, 0, 7], 'a range is of what is left';
$backend->says('/parts', body => $row);
for my $where (qw(fields tagged cached)) {
    asked('/parts');
    my $whole = ask('/parts?fields=status', where => $where)->{body};
    for my $range ([Range => 'bytes=1-9'], [Range => 'bytes=1-9', 'If-Range' => '"other"']) {
        $res = ask('/parts?fields=status', where => $where, fields => $range);
        is_deeply [@$res{qw(status body)}], @$range > 2 ? [200, $whole] : [206, substr $whole, 1, 9], "$where: a range is of what is left, @$range[1 .. $#$range]";
    }
    unlike join('', $backend->asked('/parts')), qr/^(?:If-)?Range:/m, 'and no backend is asked for it';
}
is request($port, 'GET /docs/nothing.json?fields=size')->{status}, 404, 'no file';
is request($port, 'GET /docs/index.json')->{header}{'content-length'}, -s "$FindBin::Bin/docs/index.json", 'all of the file';

# validators, conditions, HEAD, and what is kept: of what is left
my %tag;
for my $query ('', '?fields=status', '?fields=id', '?fields=id,status', '?fields=status,id', '?fields=lines(qty)', '?fields=lines(sku)', '?fields=lines') {
    $res = ask("/object$query", where => 'tagged');
    like $tag{$query} = $res->{header}{etag} // '', qr/^"[~\w-]+"$/, "a tag of '$query'";
    is ask("/object$query", where => 'tagged', fields => ['If-None-Match' => $tag{$query}])->{status}, 304, 'by which it is known';
    my $head = ask("/object$query", where => 'tagged', method => 'HEAD');
    is_deeply [@{ $head->{header} }{qw(etag content-length x-fields-returned)}], [$tag{$query}, length $res->{body}, $res->{header}{'x-fields-returned'}],
        'HEAD says what GET would';
}
is $tag{'?fields=id,status'}, $tag{'?fields=status,id'}, 'the same fields have the same tag';
is $tag{'?fields=id,status'}, $tag{'?fields=status'}, 'and what has the same bytes';
my %seen = reverse %tag;
is scalar(keys %seen), 6, 'each other set another one';
is ask('/list?fields=id', where => 'tagged', fields => ['If-None-Match' => '"origin"'])->{status}, 200, "the origin's tag is of other bytes"
    if $backend->says('/list', %{ $answers{'/list'} }, ETag => '"other"');
$backend->says('/list', %{ $answers{'/list'} });
for my $query (qw(fields=id fields=status expand=lines)) {
    my ($one, $two) = ask("/object?$query", where => 'cached');
    for (1 .. 20) {     # mod_cache keeps what it can
        asked('/object');
        $two = ask("/object?$query", where => 'cached');
        last if !asked('/object');
    }
    is_deeply [@$two{qw(status body)}, names($two)], [@$one{qw(status body)}, names($one)], "the same of mod_cache: $query";
    is status_of($two), 'hit', 'which had it';
}
asked('/object');
is refusal(ask('/object?fields=zz', where => 'cached')), 'field_unknown', 'a refusal' for 1, 2;
is scalar(asked('/object')), 2, 'is not kept';

# codings: the backend is asked for none, and the client gets what it likes
for my $where (qw(deflated compressed)) {
    asked('/object');
    $res = ask('/object?fields=description,big', where => $where, fields => ['Accept-Encoding' => 'gzip']);
    is_deeply [$res->{header}{'content-encoding'}, unzip($res)],
        ['gzip', '{"id":7,"description":"caf\u00e9 \/ ' . "\xc3\xa9" . '","big":123456789012345678901234567890}'], "pruned, then encoded ($where)";
    is_deeply [grep { /^Accept-Encoding/mi } asked('/object')], [], 'and not by the backend';
}
asked('/object');
ask('/object', fields => ['Accept-Encoding' => 'gzip']);
is_deeply [map { /^Accept-Encoding: (.*)/mi } asked('/object')], ['gzip'], 'who asks for all may have it encoded by the backend';

# pages of other origins
$res = ask('/object?fields=id', where => 'app', fields => [Origin => 'https://app.test']);
like $res->{header}{'access-control-expose-headers'}, qr/X-Fields-Returned.*X-Fields-Available|X-Fields-Available.*X-Fields-Returned/s,
    'scripts may read the names';
like ask('/object?fields=zz', where => 'app', fields => [Origin => 'https://app.test'])->{header}{'access-control-allow-origin'}, qr/app\.test/,
    'and refusals';

# a backend that breaks off
expect_error('AH01110');
$res = ask('/cut?fields=id');
isnt length $res->{body}, $res->{header}{'content-length'} // 'chunked', 'an answer that was cut off is none, though what there is of it is JSON';
is names($res), '- -', 'and is not pruned';
is ask('/object?fields=id')->{body}, '{"id":7}', 'the next is answered';
done_testing;
