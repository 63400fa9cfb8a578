# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# httpd opens modules RTLD_GLOBAL: whatever one exports, all others bind to. Export the record only.
use strict;
use warnings FATAL => 'all';

use Test::More;

my @so = glob "$ENV{TEST_STAGE}/modules/*.so";
plan tests => scalar @so;
for my $so (@so) {
    my ($name) = $so =~ m{/mod_(\w+)\.so$};
    my @seen = grep { !/^(?:__|_init|_fini|_edata|_end)/ } map { (split)[-1] } `nm -D --defined-only $so`;
    is "@seen", "${name}_module", "mod_$name exports its module record and nothing else";
}
