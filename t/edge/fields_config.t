# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The directives of sparse fields are checked at config test, with a sentence that says what was expected.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::ConfigTest qw(config_test);
use Test::More;

my @refused = (
    (map { ["EdgeFields $_", qr/EdgeFields must be On or Off/] } 'yes', '" "', '1'),
    (map { ["EdgeFieldsEnvelope $_", qr/EdgeFieldsEnvelope: expected none, or a member's name of 1 to 64 visible ASCII characters, not "/] }
        '" "', '"a b"', "\"caf\xc3\xa9\"", 'x' x 65),
    (map { ["EdgeFieldsMaxBody $_", qr/EdgeFieldsMaxBody: expected a size from 1024 to 67108864 bytes/] } '0', '1023', '65M', 'much', '-1K'),
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok !$accepted, "refused: $lines";
    like $output, $message, 'with what was expected';
}
for my $lines ('EdgeFields On', 'EdgeFields off', 'EdgeFieldsEnvelope none', 'EdgeFieldsEnvelope items', 'EdgeFieldsEnvelope ' . 'x' x 64,
    'EdgeFieldsMaxBody 1K', 'EdgeFieldsMaxBody 64M', "<Location /x>\nEdgeFields On\nEdgeFieldsEnvelope none\nEdgeFieldsMaxBody 2M\n</Location>",
    "<VirtualHost *:1>\nEdgeFields On\n</VirtualHost>") {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, "accepted: $lines" or diag $output;
}
done_testing;
