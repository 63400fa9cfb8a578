# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A directive is a table line, a member that create and merge know, and a heading of its module's
# manual page with syntax, default, context and example (style.md 4, 15).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(files slurp source);
use Test::More;

for my $config (files('modules', qr/_config\.c$/)) {
    my ($folder) = $config =~ m{^(modules/\w+)/};
    my ($module) = map { m{/(mod_\w+)\.c$} } files($folder, qr{/mod_\w+\.c$});
    my $code = slurp($config);
    my %table = map { $_ => 1 } $code =~ /AP_INIT_\w+\(\s*"(\w+)"/g;
    my $manual = "docs/manual/$module.md";

    ok -f source($manual), "$module has a manual page" or next;
    my $text = slurp($manual);
    my %page = map { $_ => 1 } grep { $table{$_} || /^[A-Z][a-z]+[A-Z]/ } $text =~ /^## (\w+)$/mg;
    is join(' ', sort keys %page), join(' ', sort keys %table), "$manual has each directive, and no other";
    for my $name (sort keys %page) {
        my ($part) = $text =~ /^## $name\n(.*?)(?=^## |\z)/ms;
        for my $field ('Syntax', 'Default', 'Context', 'Example') {
            ok $part =~ /\*\*$field:?\*\*/, "$manual: $name has its $field";
        }
    }

    # members of each *_conf struct of the folder, in the function that merges it
    my $merges = join '', $code =~ /^void \*\w+_merge\(.*?^\}/msg;
    for my $header (files($folder, qr/\.h$/), $config) {
        my $declarations = slurp($header) =~ s{/\*.*?\*/}{}gsr;
        while ($declarations =~ /typedef struct (\w+_conf) \{(.*?)\} \1;/gs) {
            my ($struct, $body) = ($1, $2);
            for my $member ($body =~ /(\w+)(?:\[[^\]]*\])?\s*[;,]/g) {
                ok $merges =~ /\badd->$member\b/, "$config merges $struct.$member";
            }
        }
    }
}
done_testing;
