# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# What build/quickstart and its helpers refuse, they refuse in one sentence and with a status.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use IO::Socket::INET;
use My::Source qw(source);
use Test::More;

sub run {
    my ($command) = @_;
    my $output = `cd '@{[source('.')]}' && $command 2>&1 </dev/null`;
    return ($? >> 8, $output);
}

my @refused = (
    ['build/quickstart bogus', qr/^quickstart: expected build\/quickstart \[--detach\]/],
    ['build/quickstart --orgs', qr/^quickstart: --orgs expects a whole number/],
    ['build/quickstart --orgs 1', qr/^quickstart: --orgs expects at least 2/],
    ['build/quickstart --scale 0', qr/^quickstart: --scale expects a whole number/],
    ['QUICKSTART_PORT=80 build/quickstart', qr/^quickstart: QUICKSTART_PORT expects a port from 1024/],
    ['QUICKSTART_PORT=x build/quickstart', qr/^quickstart: QUICKSTART_PORT expects a port/],
    ['build/quickstart status', qr/^quickstart: there is no demo/],
    ['build/sample-data', qr/^sample-data: no database/],
    ['build/sample-data dbname=x --orgs many', qr/^sample-data: --orgs expects/],
    ['build/sample-data dbname=x --until soon', qr/^sample-data: --until expects a day/],
    ['build/sample-data dbname=x --fast 1', qr/^sample-data: unknown argument --fast/],
    ['build/migrate', qr/usage: build\/migrate DSN/],
    ['build/demonstration', qr/^demonstration: expected --port/],
);
for my $case (@refused) {
    my ($command, $message) = @$case;
    my ($status, $output) = run($command);
    isnt $status, 0, "$command fails";
    like $output, $message, 'and says what was expected';
    is scalar(() = $output =~ /\n/g), 1, 'in one line';
}
is((run('build/quickstart stop'))[0], 0, 'stopping what does not run is no error');

my ($status, $output) = run('(mkdir var && build/quickstart status; code=$?; rmdir var; exit $code)');
isnt $status, 0, 'a var/ that only build/check used';
like $output, qr/^quickstart: there is no demo/, 'has no demo in it';

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
my $port = $listener->sockport;
($status, $output) = run("QUICKSTART_PORT=$port build/quickstart --detach");
isnt $status, 0, 'a taken port is an error';
like $output, qr/^quickstart: port $port is taken by another program: set QUICKSTART_PORT/m, 'that says which and what to do';
my $before = $port - 1;
if ($before >= 1024) {
    ($status, $output) = run("QUICKSTART_PORT=$before build/quickstart --detach");
    isnt $status, 0, 'so is a taken second port';
}

# a machine that lacks packages, and a user who can't install them
my $bin = "$ENV{TEST_STAGE}/bin";
mkdir $bin or die "$bin: $!";
for my $fake (['dpkg-query', 'echo not-installed'], ['sudo', 'exit 1']) {
    open my $fh, '>', "$bin/$fake->[0]" or die "$fake->[0]: $!";
    print $fh "#!/bin/sh\n$fake->[1]\n";
    close $fh;
    chmod 0755, "$bin/$fake->[0]";
}
for my $command ('build/quickstart', 'build/check') {
    ($status, $output) = run("env PATH=$bin:\$PATH CHECK_DIR=$ENV{TEST_STAGE}/check $command");
    isnt $status, 0, "$command ends where packages are missing";
    like $output, qr/only root can install them: apt-get install --no-install-recommends .*apache2-dev/, 'with the line to give to root';
}

# the list of packages is read as the helpers read it
my $packages = `cd '@{[source('.')]}' && bash -c 'top=. self=t; . build/lib.sh; packages_of build run test'`;
like $packages, qr/^$_$/m, "$_ is in the list" for qw(apache2-dev postgresql-15 cppcheck);
unlike $packages, qr/[#\[ ]/, 'and nothing else is';
done_testing;
