# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# No line of C is wider than .clang-format has it (ColumnLimit).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Encode qw(decode);
use My::Source qw(files slurp);
use Test::More;
use constant MOST => 100;

for my $file (map { files($_, qr/\.[ch]$/) } qw(include modules t)) {
    my $n = 0;
    my @wide = map { $n++; length decode('UTF-8', $_) > MOST ? $n : () } split /\n/, slurp($file);
    ok !@wide, $file or diag "lines @wide";
}
done_testing;
