# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A log call has a tag, a tag one call, a module its range (style.md 12, decisions.md 36); and
# docs/messages.md is what build/log-tags makes of them.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(files slurp source);
use Test::More;

my %range = (tenant => 1000, quota => 1100, idempotency => 1200, edge => 1300, purge => 1400,
             realtime => 1500, finance => 1600, operations => 1700, documents => 1800, slo => 1900,
             signin => 2000, redis => 2100, rest => 2200);
my %seen;

for my $file (files('modules', qr/\.c$/)) {
    my ($folder) = $file =~ m{^modules/(\w+)/};
    my $code = slurp($file) =~ s{/\*.*?\*/}{}gsr;
    my @calls = $code =~ /\bap_log_(?:[rpc]?error|cserror)\s*\(((?:[^;"]|"(?:[^"\\]|\\.)*")*);/g;
    my @untagged = grep { !/OGLOGNO\(/ } @calls;
    is scalar @untagged, 0, "$file tags each log call" or diag @untagged;
    for my $tag ($code =~ /OGLOGNO\((\d+)\)/g) {
        my $base = $range{$folder} // -1;
        ok $tag >= $base && $tag < $base + 100, "$file: $tag is within the range of $folder";
        is $seen{$tag}, undef, "$file: $tag is used once";
        $seen{$tag} = $file;
    }
}
my $made = `'@{[source('build/log-tags')]}' '@{[source('.')]}'`;
is slurp('docs/messages.md'), $made, 'docs/messages.md is up to date: build/log-tags > docs/messages.md';
done_testing;
