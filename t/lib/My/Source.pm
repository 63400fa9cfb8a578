# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Source;

# The source tree as the guards of t/source see it.

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use File::Find ();
our @EXPORT_OK = qw(files slurp source);

my $top = "$ENV{TEST_STAGE}/src";

# The path of a file of the tree.
sub source { return "$top/$_[0]" }

# Paths, from the top, of the files below a folder that match.
sub files {
    my ($folder, $match) = @_;
    my @found;
    File::Find::find({ no_chdir => 1, wanted => sub {
        push @found, substr $_, length "$top/" if -f && /$match/;
    } }, "$top/$folder");
    return sort @found;
}

sub slurp {
    my $file = shift;
    open my $fh, '<', "$top/$file" or die "$file: $!";
    local $/;
    return scalar <$fh>;
}

1;
