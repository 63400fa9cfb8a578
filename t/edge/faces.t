# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each reader's own line of Cache-Control: clients, trusted edges, and nobody where there is nothing to keep
# (http-semantics.md 4, P§26.2).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask at_edge faces status_of);
use Http qw(problem);
use My::Log qw(expect_error);
use Origin ();
use Test::More;

my $origin = Origin->new('faces');
my $port = $origin->port;
my @by = (by => [1, 1]);

# the shipped table, line by line
my %family = (
    ledger  => ['private, max-age=60', 'public, max-age=60, s-maxage=300, stale-while-revalidate=60',
        'max-age=300, stale-while-revalidate=60, stale-if-error=3600'],
    reports => ['private, max-age=300', 'public, max-age=300, s-maxage=900, stale-while-revalidate=86400',
        'max-age=900, stale-while-revalidate=86400, stale-if-error=86400'],
    assets  => ['public, max-age=2592000, immutable', 'public, max-age=2592000, s-maxage=2592000, immutable', 'max-age=2592000'],
    mine    => ['private, max-age=60', 'private, max-age=60', undef],
    client  => ['private, max-age=60', 'private, max-age=60', undef],
    none    => ['no-store', 'no-store', undef],
);
$origin->says("/$_", body => qq({"of":"$_"}), 'Cache-Control' => 'max-age=5', Expires => 'Thu, 01 Jan 2037 00:00:00 GMT',
    'Surrogate-Control' => 'max-age=1') for sort keys %family;
for my $name (sort keys %family) {
    my ($client, $edge, $cdn) = @{ $family{$name} };
    for my $try ('first', 'again') {
        my $res = ask("GET /$name/$port/$name?propertyId=7", @by);
        is $res->{status}, 200, "$name, $try: an answer";
        is faces($res), $client, 'a client may keep it for himself';
        is join(' ', grep { /^(?:age|expires|pragma|warning|surrogate|cdn|x-org-key|x-tenant|x-cache)/ } sort keys %{ $res->{header} }), '',
            'and is told nothing else of it';
        $res = at_edge("GET /$name/$port/$name?propertyId=7", @by);
        is faces($res), $edge, 'an edge for others';
        is $res->{header}{'cdn-cache-control'}, $cdn, 'and for how long';
        is $res->{header}{'surrogate-control'}, undef, "not by the origin's word";
    }
}

# whose it is, and what it shows
my $res = at_edge("GET /ledger/$port/ledger?propertyId=7,9", by => { org => 5, user => 1, role => 'manager', properties => [7, 9] });
is $res->{header}{'surrogate-key'}, 'org:5 thing:7 thing:9', 'tags of organisation and properties';
like $res->{header}{'x-org-key'}, qr/^[0-9a-f]{16}$/, 'the tenant';
like $res->{header}{'x-tenant-partition'}, qr/^\Q$res->{header}{'x-org-key'}\E\.[0-9a-f]{16}$/, 'and what may be seen';
my %partition = ($res->{header}{'x-tenant-partition'} => 1);
for my $who ({ org => 5, user => 2, role => 'manager', properties => [7] }, { org => 5, user => 2, role => 'staff', properties => [7, 9] },
    { org => 5, user => 2, role => 'owner' }, { org => 6, user => 1, role => 'manager', properties => [7, 9] }) {
    $partition{ at_edge("GET /ledger/$port/ledger?propertyId=7", by => $who)->{header}{'x-tenant-partition'} }++;
}
is scalar(keys %partition), 5, 'another for each who may see something else';
is at_edge("GET /ledger/$port/ledger?propertyId=7", by => { org => 5, user => 3, role => 'manager', properties => [9, 7] })->{header}{'x-tenant-partition'},
    $res->{header}{'x-tenant-partition'}, 'one for all who see the same';
is at_edge("GET /assets/$port/assets")->{header}{'x-tenant-partition'}, undef, 'none for nobody';

# what is no good answer
for my $status (201, 204, 301, 302, 308, 400, 404, 410, 418, 500, 503) {
    $origin->says("/s$status", status => $status, 'Cache-Control' => 'public, max-age=600, s-maxage=600', Location => '/x', body => 'x');
    is faces(ask("GET /ledger/$port/s$status", @by)), 'no-store', "$status is kept by nobody";
    is faces(at_edge("GET /ledger/$port/s$status", @by)), 'no-store', 'nor by an edge';
}
$res = ask("GET /ledger/$port/ledger");
is "$res->{status} " . faces($res), '401 no-store', 'nor a refusal';
is problem($res)->{code}, 'unauthenticated', 'which is one';
is faces(ask("$_ /ledger/$port/ledger", @by, 'Content-Length' => 0)), 'no-store', "nor an answer to $_" for qw(POST PUT PATCH DELETE);
expect_error('AH00957: ', 'AH01114: ');
is faces(at_edge('GET /ledger/1/closed', @by)), 'no-store', 'nor that the origin is not there';

# nobody verified: fail closed
$res = at_edge("GET /unverified/$port/ledger");
is "$res->{status} " . faces($res), '200 private, no-store', 'what nobody was verified for is nobody else\'s';
is status_of($res), 'fwd=bypass', 'and asked anew';
is status_of(at_edge("GET /unverified/$port/ledger")), 'fwd=bypass', 'each time';

# what the origin says
for my $case (['no-store', 'no-store'], ['private', 'private, no-cache'], ['private, max-age=9', 'private, no-cache'], ['no-cache', 'private, no-cache'],
    ['No-Store, public', 'no-store'], ['max-age=9, no-transform', 'private, max-age=60, no-transform']) {
    my ($said, $face) = @$case;
    my $path = '/cc' . $said =~ s/\W/_/gr;
    $origin->says($path, 'Cache-Control' => $said, body => 'x' x 2000);
    is faces(ask("GET /ledger/$port$path", @by)), $face, "$said is heeded";
    is faces(ask("GET /ledger/$port$path", @by)), $face, 'the second time as well';
    is scalar($origin->asked($path)), $face =~ /no-(?:store|cache)/ ? 2 : 1, 'and the cache did';
}
# a list may come in several lines (RFC 9110 5.3)
for my $case ([['max-age=9', 'private'], 'private, no-cache'], [['max-age=9', 'x=1', 'no-store'], 'no-store'],
    [['max-age=9', 'no-transform'], 'private, max-age=60, no-transform']) {
    my ($said, $face) = @$case;
    my $path = '/cc2' . "@$said" =~ s/\W/_/gr;
    $origin->says($path, 'Cache-Control' => $said, body => 'x' x 2000);
    for (1, 2) {
        $res = ask("GET /ledger/$port$path", @by, 'Accept-Encoding' => 'br');
        is faces($res), $face, "@$said in lines of their own: heeded";
    }
    is $res->{header}{'content-encoding'}, $face =~ /no-transform/ ? undef : 'br', 'and by the compressor';
    is scalar($origin->asked($path)), $face =~ /no-(?:store|cache)/ ? 2 : 1, 'and the cache';
}
$origin->says('/cookie', 'Set-Cookie' => 'a=b', body => 'x');
is faces(at_edge("GET /ledger/$port/cookie", @by)), 'private, no-cache', 'what sets a cookie is for whom it is set';

# what has no proper tag can't be purged
for my $query ('propertyId=7%2C', 'propertyId=%2C7', 'propertyId=7,,8', 'propertyId=7%208', 'propertyId=7%0d%0aX:y', 'propertyId=' . 'x' x 300,
    'propertyId=' . join(',', 1 .. 50)) {
    $res = at_edge("GET /ledger/$port/ledger?$query", @by);
    is "$res->{status} " . faces($res), '200 private, no-store', substr($query, 0, 40) . ' makes no tags';
    unlike $res->{raw}, qr/^X:y/m, 'and no header';
}
$res = at_edge("GET /ledger/$port/ledger?propertyId=" . join(',', 1 .. 49), @by);
is scalar(split / /, $res->{header}{'surrogate-key'}), 50, 'fifty tags are';
like faces($res), qr/^public/, 'not too many';
is at_edge("GET /ledger/$port/ledger", @by)->{header}{'surrogate-key'}, 'org:1', 'nothing asked for, no tag for it';
is at_edge("GET /ledger/$port/ledger?propertyId=7&propertyId=8", @by)->{header}{'surrogate-key'}, 'org:1 thing:7 thing:8', 'twice is both';
done_testing;
