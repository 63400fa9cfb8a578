# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Every source says under which licence it stands, and what it is.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(files slurp);
use Test::More;

my @files = (files('modules', qr/\.[ch]$/), files('include', qr/\.h$/), files('t', qr/\.(?:c|h|t|pm|pl)$/),
             files('conf', qr/\.sql$/));
for my $file (@files) {
    next if $file =~ m{^t/unit/\w+\.t$};      # one line each: which program to run
    my $head = substr slurp($file), 0, 300;
    ok $head =~ /SPDX-License-Identifier: Apache-2\.0/, "$file names its licence";
}
# printed, not enforced (decisions.md 32): a file above 600 lines may hold two ideas
for my $file (files('modules', qr/\.c$/)) {
    my $lines = () = slurp($file) =~ /\n/g;
    diag "$file has $lines lines" if $lines > 600;
}
done_testing;
