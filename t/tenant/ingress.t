# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Inbound copies of internal headers are gone before anybody sees them, in every spelling; the
# request's id is ours unless a trusted edge gave a good one.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use Http;
use Test::More;

my ($client, $edge, $other) = map { port_of("tenant_$_") } qw(client edge other_edge);

# TRACE answers with the header as httpd sees it after post_read_request
sub seen {
    my ($port, @fields) = @_;
    return request($port, 'TRACE /page.html', @fields)->{body};
}

my @names = qw(X-Org-Key x-org-key X-ORG-KEY X_Org_Key x_org-KEY X.Org.Key X-Org_Id X-Org-Id Surrogate-Key
               surrogate_key Surrogate-Control X-Cache-Tags X_CACHE_TAGS X-Tenant-Partition
               x_tenant_partition CDN-Cache-Control cdn_cache_control Cache-Tag cache_tag X_Request_Id);
my @ids = ('a', 'A.b_c-9', 'x' x 64);
my @bad_ids = ('', 'x' x 65, 'a b', 'a,b', "a\tb", '<script>', "caf\xc3\xa9", 'a/b', 'a;b', '%0d%0a');
plan tests => 2 * @names + 4 + @ids * 3 + @bad_ids + 6;

for my $name (@names) {
    for my $port ($client, $edge) {
        unlike seen($port, $name => 'forged', 'X-Other' => 'kept'), qr/forged/,
            "$name is dropped, whoever sends it";
    }
}
unlike seen($client, 'X-Org-Key' => 'forged', 'X-Org-Key' => 'forged'), qr/forged/, 'twice as well';
like seen($client, 'X-Org-Keys' => 'kept', 'X-Org' => 'kept2'), qr/kept.*kept2/s, 'other names stay';
my $backend = request($client, 'GET /backend/page.html', 'X-Org-Key' => 'forged', Authorization => 'Basic eDp5',
                      Connection => 'X-Org-Key, Authorization, Idempotency-Key, X-Request-Id');
is $backend->{header}{'x-seen-authorization'}, 'Basic eDp5', 'Connection cannot make a proxy drop our headers';
is $backend->{header}{'x-seen-id'}, $backend->{header}{'x-request-id'}, 'but the id that the client gets';

for my $id (@ids) {
    is request($edge, 'GET /page.html', 'X-Request-Id' => $id)->{header}{'x-request-id'}, $id, "an edge's id is kept";
    isnt request($client, 'GET /page.html', 'X-Request-Id' => $id)->{header}{'x-request-id'}, $id, "a client's is not";
    isnt request($other, 'GET /page.html', 'X-Request-Id' => $id)->{header}{'x-request-id'}, $id,
        'nor is that of an edge which is not ours';
}
for my $id (@bad_ids) {
    like request($edge, 'GET /page.html', 'X-Request-Id' => $id)->{header}{'x-request-id'}, qr/^[A-Za-z0-9_-]{22}$/,
        "an edge's id that is none is replaced";
}
my %seen;
$seen{ request($client, 'GET /page.html')->{header}{'x-request-id'} }++ for 1 .. 50;
is scalar keys %seen, 50, 'each request has an id of its own';
my $redirected = request($client, 'GET /e410');
like $redirected->{header}{'x-request-id'}, qr/^[A-Za-z0-9_-]{22}$/, 'an ErrorDocument has one id';
my $problem = request($client, 'GET /problem/nothing');
is problem($problem)->{instance}, "/requests/$problem->{header}{'x-request-id'}", 'a problem names the id it is sent with';
is problem(request($edge, 'GET /problem/nothing', 'X-Request-Id' => 'edge-7'))->{instance}, '/requests/edge-7',
    "also an edge's";
SKIP: {
    skip 'HTTP/2 needs a threaded MPM', 2 unless has_h2();
    like h2($client, 'GET /page.html')->{header}{'x-request-id'}, qr/^[A-Za-z0-9_-]{22}$/, 'HTTP/2 has ids';
    is h2($edge, 'GET /page.html', 'X-Request-Id' => 'edge-8')->{header}{'x-request-id'}, 'edge-8', 'and edges';
}
