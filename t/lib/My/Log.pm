# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Log;

# The error log as a test sees it: what was added since a mark, and which error lines are meant.

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
our @EXPORT_OK = qw(expect_error log_mark log_since);

my $logs = "$ENV{TEST_STAGE}/t/logs";

# Announce error lines that this suite causes on purpose, as regular expressions. Any other line of
# level error fails the whole run (t/TEST, log_sins).
sub expect_error {
    open my $fh, '>>', "$logs/expected_errors" or die "$logs/expected_errors: $!";
    print $fh map { "$_\n" } @_;
    close $fh;
}

sub log_mark {
    return -s "$logs/error_log" || 0;
}

sub log_since {
    my $mark = shift;
    open my $fh, '<', "$logs/error_log" or die "$logs/error_log: $!";
    seek $fh, $mark, 0;
    local $/;
    return scalar <$fh>;
}

1;
