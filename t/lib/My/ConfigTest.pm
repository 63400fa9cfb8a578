# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::ConfigTest;

# httpd -t on a configuration of the test's own: what it says, and whether it would start.

use strict;
use warnings FATAL => 'all';
use Apache::TestConfig ();
use Exporter 'import';
our @EXPORT_OK = qw(config_test);

my $stage = $ENV{TEST_STAGE};
my $count = 0;

# Lines for the main server, behind the LoadModules of the suite. Returns (accepted, output).
# $opt{files}: how many files httpd may have open.
sub config_test {
    my ($lines, %opt) = @_;
    my $limit = $opt{files} ? "prlimit --nofile=$opt{files} " : '';
    my $file = sprintf '%s/configtest.%d.%d.conf', $stage, $$, $count++;
    open my $fh, '>', $file or die "$file: $!";
    print $fh <<"CONF";
Include $stage/load.conf
ServerRoot $stage/t
ServerName localhost
Listen 127.0.0.1:1
PidFile $stage/t/logs/configtest.pid
DefaultRuntimeDir $stage/t/logs
ErrorLog $stage/t/logs/configtest_log
$lines
CONF
    close $fh;
    my $httpd = $ENV{TEST_UNWRAPPED} // Apache::TestConfig->thaw->{vars}{httpd};
    my $output = `$limit$httpd -t -f $file 2>&1`;
    my $accepted = $? == 0;
    unlink $file;
    return ($accepted, $output);
}

1;
