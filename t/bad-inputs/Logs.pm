# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Logs;

# All logs of the run as they were at a mark, and what came since: lines that nobody expects, records
# that are more than a line, secrets.

use strict;
use warnings FATAL => 'all';
use File::Find ();

my $logs = "$ENV{TEST_STAGE}/t/logs";

sub files {
    my @files;
    File::Find::find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } }, $logs);
    return @files;
}

sub mark { return { map { $_ => -s $_ } files() } }

sub since {
    my ($mark, $file) = @_;
    open my $fh, '<:raw', $file or die "$file: $!";
    seek $fh, $mark->{$file} || 0, 0;
    local $/;
    return <$fh> // '';
}

sub errors { return since($_[0], "$logs/error_log") }

# Lines of level warn and worse that match none of these.
sub unexpected {
    my ($mark, @expected) = @_;
    my @lines = grep { /:(?:warn|error|crit|alert|emerg)\] |exit signal/ } split /\n/, errors($mark);
    return grep { my $line = $_; !grep { $line =~ /$_/ } @expected } @lines;
}

# Records of httpd that are not one line of printable ASCII, each of its own form.
my %form = (error_log => qr/^\[\w{3} \w{3} \d\d /, access_log => qr/^127\.0\.0\.1 \[.* \d{3} (?:\d+|-)$/,
            badinputs_log => qr/^127\.0\.0\.1 \[.* id=\S*$/, tenant_log => qr/ other=-$/);

sub broken {
    my $mark = shift;
    my @bad;
    for my $file (files()) {
        my ($name) = $file =~ m{([^/]+)$};
        my $form = $form{$name} or next;
        push @bad, map { "$name: $_" } grep { $_ !~ $form || /[^\x20-\x7e]/ } split /\n/, since($mark, $file);
    }
    return @bad;
}

# Which of these texts some log of the run holds; only the file is named, not the secret.
sub leaked {
    my ($mark, @secrets) = @_;
    my @found;
    for my $file (files()) {
        my $text = since($mark, $file);
        push @found, map { "$file: " . substr($_, 0, 12) . '…' } grep { index($text, $_) >= 0 } @secrets;
    }
    return @found;
}

1;
