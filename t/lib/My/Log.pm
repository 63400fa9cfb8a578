# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Log;

# The error log as a test sees it: what was added since a mark, and which error lines are meant.

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
our @EXPORT_OK = qw(expect_error expect_warn log_mark log_since);

my $logs = "$ENV{TEST_STAGE}/t/logs";

sub announce {
    my ($level, @patterns) = @_;
    open my $fh, '>>', "$logs/expected_$level" or die "$logs/expected_$level: $!";
    print $fh map { "$_\n" } @patterns;
    close $fh;
}

# Announce lines that this suite causes on purpose, as regular expressions: of level error and
# worse, and children's deaths; or of level warn. Any other such line fails the whole run (My::Gate).
sub expect_error { return announce('error', @_) }
sub expect_warn  { return announce('warn', @_) }

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
