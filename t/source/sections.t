# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# docs/sections.md maps the playbook's sections to files, tests and pages: each of them is real.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(slurp source);
use Test::More;

my @rows = grep { /^\|\s*P/ } split /\n/, slurp('docs/sections.md');
ok @rows > 5, 'there are rows';
for my $row (@rows) {
    my ($section) = $row =~ /^\|\s*(.*?)\s*\|/;
    my @named = $row =~ /`([^`]+)`/g;
    my @missing = grep { !-e source($_) } @named;
    ok @named && !@missing, "$section names real files" or diag "missing: @missing";
}
done_testing;
