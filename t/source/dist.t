# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What is in the tree is in a fragment: a test that no .am lists would be missing from the tarball,
# a source that none lists would never be built (build-and-test.md 25).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(files slurp);
use Test::More;

my $listed = '';
for my $am (map { files($_, qr/\.am$/) } qw(modules t conf docs build)) {
    my ($folder) = $am =~ m{(.*)/};
    $listed .= ' ' . slurp($am) =~ s/%D%/$folder/gr;
}
for my $file (files('t', qr/\.(?:t|pm|pl|in|c|h)$/), files('modules', qr/\.[ch]$/),
              files('conf', qr/./), files('docs', qr/\.md$/)) {
    next if $file =~ m{^t/TEST(?:\.in)?$|\.am$};
    ok $listed =~ /(?<![\w\/])\Q$file\E(?![\w.])/, "$file is listed in a fragment";
}
done_testing;
