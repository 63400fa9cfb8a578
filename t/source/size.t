# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# No line of C is wider than .clang-format has it (ColumnLimit), and no file has 600 of them.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Encode qw(decode);
use My::Source qw(files slurp);
use Test::More;
use constant { COLUMNS => 100, LINES => 599 };

for my $file (map { files($_, qr/\.[ch]$/) } qw(include modules t)) {
    my @lines = split /\n/, slurp($file);
    my @wide = grep { length decode('UTF-8', $lines[$_ - 1]) > COLUMNS } 1 .. @lines;
    ok !@wide, "$file: width" or diag "lines @wide";
    cmp_ok scalar @lines, '<=', LINES, "$file: length";
}
done_testing;
