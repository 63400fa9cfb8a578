# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each directive's value, and what contradicts another module's, is checked at config test, with a sentence that
# says what was expected.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::ConfigTest qw(config_test);
use Test::More;

my $well = "TenantTrustedEdge none\nCacheQuickHandler off\n";
my $family = "EdgeFamily f max-age=1 s-maxage=2\n";
my @refused = (
    (map { ["EdgeFamily $_", qr/EdgeFamily: expected a name of small letters, digits and '-' \(but not off\), and how long its responses are kept/] }
        '', 'f', 'F max-age=1', 'a_b max-age=1', '" " max-age=1', 'off max-age=1', 'x' x 65 . ' max-age=1'),
    (map { ["EdgeFamily f $_", qr/EdgeFamily: expected seconds from 0 to 31536000, not "/] }
        'max-age=', 'max-age=-1', 'max-age=60s', 'max-age=1e3', 's-maxage=31536001', 's-maxage=9223372036854775808', 'stale-if-error=x', '"max-age= 5"'),
    (map { ["EdgeFamily f max-age=1 $_", qr/EdgeFamily: expected max-age=S, s-maxage=S, stale-while-revalidate=S, stale-if-error=S, shared=permissions\|user\|public, immutable or no-store, not "/] }
        'public', 'shared=org', 'shared=', 'Immutable', '" "', 'no-cache'),
    ['EdgeFamily f max-age=0', qr/EdgeFamily: expected no-store, or max-age or s-maxage above 0/],
    ['EdgeFamily f no-store max-age=1', qr/EdgeFamily: expected no-store alone, or ages without it/],
    ['EdgeFamily f max-age=1 stale-if-error=1', qr/EdgeFamily: expected s-maxage where there is stale-while-revalidate or stale-if-error/],
    ["<VirtualHost *:1>\n$family</VirtualHost>", qr/EdgeFamily cannot occur/],
    ["<Location /x>\n$family</Location>", qr/EdgeFamily (?:not allowed|cannot occur)/],
    (map { ["$well${family}EdgeCache $_", qr/EdgeCache: expected off or the name of an EdgeFamily above, not "/] } 'g', 'F', 'Off', '" "'),
    ["${well}EdgeCache f\n$family", qr/EdgeCache: expected off or the name of an EdgeFamily above, not "f"/],
    ['EdgeCache', qr/EdgeCache takes one argument/],
    (map { my $flag = $_; map { ["$flag $_", qr/$flag must be On or Off/] } 'Yes', '1', '" "' } qw(EdgeETag EdgeCompress)),
    (map { ["EdgeCompressMinSize $_", qr/EdgeCompressMinSize: expected .* not "/] } '-1', '1048577', '2M', '1e3', '10x', '9223372036854775808', '" "'),
    (map { ["EdgeMaxBody $_", qr/EdgeMaxBody: expected .* not "/] } '0', '-1', '1023', '65M', '1e3', '10x', '9223372036854775808', '" "'),
    (map { ["EdgeCacheSize $_", qr/EdgeCacheSize: expected .* not "/] } '0', '-1', '1048575', '65G', '1e9', '64MB', '9223372036854775808', '" "'),
    (map { ["EdgeCacheHotSize $_", qr/EdgeCacheHotSize: expected .* not "/] } '-1', '1073741825', '2G', '1e3', '10x', '9223372036854775808', '" "'),
    (map { ["EdgeCacheMaxEntry $_", qr/EdgeCacheMaxEntry: expected .* not "/] } '0', '-1', '1023', '65M', '1e3', '10x', '9223372036854775808', '" "'),
    (map { ["EdgeCollapseWait $_", qr/EdgeCollapseWait: expected .* not "/] } '-1', '11', '10001ms', '1e3', '"1 s"', '9223372036854775808', '" "'),
    (map { ["<VirtualHost *:1>\n$_\n</VirtualHost>", qr/cannot occur/] } 'EdgeCacheSize 1M', 'EdgeCacheMaxEntry 1K', 'EdgeCacheHotSize 1', 'EdgeCollapseWait 1'),
    (map { my $tag = $_; map { ["$tag $_", qr/$tag: expected an expression for a tag, such as "finance:summary:property:%\{query:propertyId\}", not "/] }
        '"%{nothing:x}"', '"%{query:x"' } qw(EdgeTag EdgePurge)),
    (map { ["PurgeEpochs $_", qr/PurgeEpochs: expected a whole number from 1024 to 268435456, not "/] }
        '0', '-1', '1023', '268435457', '2147483648', '9223372036854775808', '1K', '1e3', '" "'),
    ["<VirtualHost *:1>\nPurgeEpochs 1024\n</VirtualHost>", qr/PurgeEpochs cannot occur/],
    (map { ["EdgeSelfTest $_", qr{EdgeSelfTest: expected http://ADDRESS:PORT/PATH with an address of loopback \(127\.0\.0\.1, \[::1\]\) and no query, not "}] }
        qw(https://127.0.0.1:80/x http://127.0.0.1/x http://127.0.0.1:80 http://127.0.0.1:0/x http://127.0.0.1:65536/x http://localhost:80/x http://10.0.0.1:80/x
           http://128.0.0.1:80/x http://[::2]:80/x http://::1:80/x http://[127.0.0.1]:80/x http://[::1]/x http://a@127.0.0.1:80/x http://127.0.0.1:80/x?y
           http://127.1:80/x http://0x7f.0.0.1:80/x http:// /x), '" "', '"http://127.0.0.1:80/x y"', '"http://127.0.0.1:80/x#y"', 'http://127.0.0.1:80/' . 'x' x 1024),
    (map { ["EdgeSelfTest http://127.0.0.1:80/x $_", qr/EdgeSelfTest: expected every=SPAN behind the URL, not "/] } '60s', 'Every=60s', '" "'),
    (map { ["EdgeSelfTest http://127.0.0.1:80/x every=$_", qr/EdgeSelfTest: expected .* not "/] } '', '0', '999ms', '61min', '2h', '-1s', '1e3', '9223372036854775808'),
    ['EdgeSelfTest', qr/EdgeSelfTest takes one or two arguments|EdgeSelfTest takes 1-2 arguments/],
    ["<VirtualHost *:1>\nEdgeSelfTest http://127.0.0.1:80/x\n</VirtualHost>", qr/EdgeSelfTest cannot occur/],
    # contradictions
    ["TenantTrustedEdge none\n${family}EdgeCache f", qr/OG1303: EdgeCache: expected CacheQuickHandler off in this server: mod_cache would answer before anybody is verified/],
    ["TenantTrustedEdge none\nCacheQuickHandler on\n${family}EdgeCache f", qr/OG1303: EdgeCache: expected CacheQuickHandler off/],
    ["TenantTrustedEdge none\nCacheQuickHandler off\nCacheQuickHandler on\n${family}EdgeCache f", qr/OG1303: EdgeCache: expected CacheQuickHandler off/],
    ["$well$family<VirtualHost *:1>\nCacheQuickHandler on\n<Location /x>\nEdgeCache f\n</Location>\n</VirtualHost>", qr/OG1303: EdgeCache: expected CacheQuickHandler off/],
    ["CacheQuickHandler off\n${family}EdgeCache f", qr/OG1303: EdgeCache: expected mod_tenant, and one of its directives in this server, TenantTrustedEdge none at least/],
    ["CacheQuickHandler off\n$family<VirtualHost *:1>\nEdgeCache f\n</VirtualHost>\n<VirtualHost *:2>\nTenantTrustedEdge none\n</VirtualHost>", qr/OG1303: EdgeCache: expected mod_tenant/],
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok !$accepted, 'refused: ' . substr $lines =~ s/\n/ | /gr, 0, 120;
    like $output, $message, 'with what was expected';
}

for my $lines (
    "Include $ENV{TEST_STAGE}/src/conf/edge-families.conf\n${well}" . join('', map { "<Location /$_>\nEdgeCache $_\n</Location>\n" }
        qw(properties branding analytics finance reports staff tasks guest-checkin assets none)),
    "$well${family}EdgeFamily f no-store\nEdgeCache f\n<Location /x>\nEdgeCache off\n</Location>",
    "$family<VirtualHost *:1>\n$well<Location /x>\nEdgeCache f\n</Location>\n</VirtualHost>",
    "${well}EdgeETag On\nEdgeCompress On\nEdgeCompressMinSize 0\nEdgeMaxBody 1K",
    "EdgeCompressMinSize 1M\nEdgeMaxBody 64M\nPurgeEpochs 1024",
    "EdgeCacheSize 1M\nEdgeCacheMaxEntry 1K\nEdgeCacheHotSize 0\nEdgeCollapseWait 0",
    "EdgeCacheSize 64G\nEdgeCacheMaxEntry 64M\nEdgeCacheHotSize 1G\nEdgeCollapseWait 10s",
    "EdgeSelfTest http://127.0.0.1:8080/internal/canary",
    "EdgeSelfTest http://127.9.8.7:1/ every=1s",
    "EdgeSelfTest http://[::1]:65535/x every=1h",
    "EdgeTag \"a:%{query:x}\"\nEdgeTag plain\nEdgePurge \"b:%{tenant:org}:%{tenant:user}:%{tenant:role}:%{tenant:properties}\"",
    "EdgeFamily " . 'x' x 64 . " max-age=31536000 s-maxage=31536000 stale-while-revalidate=31536000 stale-if-error=31536000 shared=user immutable",
) {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, 'accepted: ' . substr $lines =~ s/\n/ | /gr, 0, 120 or diag $output;
}
done_testing;
