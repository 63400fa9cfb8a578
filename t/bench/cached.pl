# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What an answer from the origin's cache costs beside the same bytes from memory (mod_file_cache), sent by the same
# httpd to the same client in the same run: a list of 100 rows as it is, as gzip and as br, and a 304. The rows
# "behind a token" verify the same token, which the cache can't do without. BENCH_REQUESTS, BENCH_ROUNDS.
use strict;
use warnings FATAL => 'all';
use Cost ();
use HTTP::Tiny ();
use JSON::PP ();
use My::Load qw(setting);
use My::Server ();
use My::Token qw(bearer);

use constant MOST => 1.3;    # × the same bytes from memory

my $requests = setting(BENCH_REQUESTS => 20_000);
my $rounds = setting(BENCH_ROUNDS => 3);
my $stage = $ENV{TEST_STAGE};
my $stock = $ENV{STOCKDIR};

my $identity = <<"CONF";
    AuthType       TenantJWT
    AuthName       orgscale
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        tenant-org
CONF

# Rows of about 850 bytes, as P§22.3's
my $list = JSON::PP->new->canonical->encode({ nextCursor => undef, data => [map { my $n = $_; +{
    id => $n, propertyId => 11, propertyName => 'Property 11', status => 'pending', category => ('repairs', 'laundry', 'food')[$n % 3], vendor => "Vendor $n & Sons",
    description => "Number $n: " . 'the pump of the second floor was repaired, ' x 6, notes => 'x' x 40 . $n * 7919, amountCents => 100 * $n + 17, currency => 'INR',
    paymentMode => 'upi', paymentReference => sprintf('%016x', $n * 2654435761), invoiceNumber => "I-$n", createdBy => 2, createdByName => 'User 2',
    occurredAt => sprintf('2026-11-%02dT10:%02d:00.000Z', 1 + $n % 28, $n % 60), version => 1 } } 1 .. 100] });
my %body = (identity => $list);
mkdir "$stage/t/htdocs/$_" for qw(memory behind kept);
My::Load::spew("$stage/t/htdocs/kept/list.json", $list);

my $httpd = My::Server->new('cached', log => "LogLevel warn\n", mpm => <<'MPM', lines => <<"CONF");
StartServers      2
ServerLimit       2
ThreadsPerChild   32
MaxRequestWorkers 64
MinSpareThreads   1
MaxSpareThreads   64
MPM
LoadModule cache_module      $stock/mod_cache.so
LoadModule brotli_module     $stock/mod_brotli.so
LoadModule deflate_module    $stock/mod_deflate.so
LoadModule file_cache_module $stock/mod_file_cache.so
LoadModule headers_module    $stock/mod_headers.so
LoadModule purge_module      $stage/modules/mod_purge.so
LoadModule edge_module       $stage/modules/mod_edge.so
MaxKeepAliveRequests 0
TenantProblem     On
CacheQuickHandler off
EdgeFamily        list max-age=60 s-maxage=31536000
AddType           application/json .json
<IfFile "$stage/t/htdocs/memory/br.json">
    MMapFile @{[ map { my $folder = $_; map { "$stage/t/htdocs/$folder/$_.json" } qw(identity gzip br) } qw(memory behind) ]}
</IfFile>
<LocationMatch "/gzip.json">
    Header set Content-Encoding gzip
</LocationMatch>
<LocationMatch "/br.json">
    Header set Content-Encoding br
</LocationMatch>
<Location /behind>
$identity
</Location>
<Location /kept>
$identity
    CacheEnable  orgscale
    EdgeCache    list
    EdgeCompress On
</Location>
CONF

my %token = (Authorization => bearer(org => 1, user => 1));
my $cost = Cost->new(requests => $requests, httpd => $httpd);
my $http = HTTP::Tiny->new;
sub ask { my ($path, %with) = @_; return $http->get($cost->url($path), { headers => \%with }) }

# The encoded bodies are those that the cache keeps, so that both sides send the same bytes.
$httpd->start;
for my $coding (qw(gzip br)) {
    $body{$coding} = ask('/kept/list.json', %token, 'Accept-Encoding' => $coding)->{content};
}
for my $coding (keys %body) {
    My::Load::spew("$stage/t/htdocs/$_/$coding.json", $body{$coding}) for qw(memory behind);
}
$httpd->graceful;
for my $coding (sort keys %body) {
    my @with = (%token, 'Accept-Encoding' => $coding);
    ask('/kept/list.json', @with);
    my $res = ask('/kept/list.json', @with);
    ($res->{headers}{'cache-status'} // '') =~ /hit/ && $res->{content} eq $body{$coding} or die "$coding is not kept: $res->{status} $res->{headers}{'cache-status'}\n";
    ask("/memory/$coding.json")->{content} eq $body{$coding} or die "$coding is not in memory\n";
}
my %tag = (memory => ask('/memory/identity.json')->{headers}{etag}, behind => ask('/behind/identity.json', %token)->{headers}{etag}, kept => ask('/kept/list.json', %token)->{headers}{etag});

my @rows;
for my $coding (qw(identity gzip br)) {
    push @rows,
        ["$coding from memory, " . length($body{$coding}) . ' bytes', sub { $cost->kept(8, "/memory/$coding.json", '2xx') }],
        ['... behind a token', sub { $cost->kept(8, "/behind/$coding.json", '2xx', undef, %token) }, scalar @rows],
        ["$coding from the cache", sub { $cost->kept(8, '/kept/list.json', '2xx', undef, %token, 'Accept-Encoding' => $coding) }, scalar @rows, MOST];
}
push @rows,
    ['304 of a file in memory', sub { $cost->kept(8, '/memory/identity.json', '3xx', undef, 'If-None-Match' => $tag{memory}) }],
    ['... behind a token', sub { $cost->kept(8, '/behind/identity.json', '3xx', undef, %token, 'If-None-Match' => $tag{behind}) }, scalar @rows],
    ['304 from the cache', sub { $cost->kept(8, '/kept/list.json', '3xx', undef, %token, 'If-None-Match' => $tag{kept}) }, scalar @rows, MOST];
my @got = map { [] } @rows;
for (1 .. $rounds) {
    push @{ $got[$_] }, [$rows[$_][1]->()] for 0 .. $#rows;
}
$httpd->stop;
exit(Cost::table(\@rows, \@got) ? 1 : 0);
