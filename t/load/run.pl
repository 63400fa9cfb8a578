# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# run.pl DRIVER…: runs drivers of t/load and t/bench one after another, in a stage of their own, as
# nobody when root called. make load and make bench call it, with BUILD, HTTPD and STOCKDIR set. What
# servers wrote is afterwards in BUILD/load.run.
use strict;
use warnings FATAL => 'all';
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);

$| = 1;     # its lines stand before those of the drivers

my $user = $ENV{TEST_USER} || 'nobody';
my $t = abs_path(dirname(__FILE__) . '/..');
my ($build, $stock) = @ENV{qw(BUILD STOCKDIR)};
@ARGV && $build && $stock && $ENV{HTTPD} or die "run.pl: make load or make bench run this\n";

my $stage = tempdir('orgscale-load.XXXXXX', TMPDIR => 1);
my $owner = $$;
local @SIG{qw(HUP INT TERM)} = (sub { exit 1 }) x 3;
END { remove_tree($stage) if defined $owner && $owner == $$ }

sub sh { system(@_) == 0 or die "run.pl: @_: status $?\n"; return }

make_path(map { "$stage/$_" } qw(modules unit t/logs t/conf t/htdocs src/build src/conf));
sh('cp', '-R', (grep { -d } map { "$t/$_" } qw(lib load bench)), "$stage/t/");
sh('cp', (map { "$build/.libs/mod_$_.so" } qw(tenant realtime_lp quota idempotency finance purge edge)), "$stage/modules/");
sh('cp', '-R', "$t/../conf/sql", "$stage/src/conf/");
sh('cp', "$t/../build/migrate", "$stage/src/build/");
sh("$build/libtool", '--quiet', '--mode=install', 'cp', "$build/t/load/$_", "$stage/unit/") for qw(pollload sign_lines);

my %from = ((map { $_ => "$stock/mod_$_.so" } qw(mpm_event authn_core authz_core authz_host authz_user mime reqtimeout)),
    map { $_ => "$stage/modules/mod_$_.so" } qw(tenant realtime_lp));
open my $load, '>', "$stage/load.conf" or die "load.conf: $!\n";
print $load map { "LoadModule ${_}_module $from{$_}\n" } sort keys %from;
close $load or die "load.conf: $!\n";

my @as;
if ($> == 0) {
    my ($uid, $gid) = (getpwnam $user)[2, 3] or die "run.pl: no user $user\n";
    sh('chown', '-R', "$uid:$gid", $stage);
    @as = ('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups', '--');
}
local $ENV{TEST_STAGE} = $stage;
local $ENV{TEST_HTTPD} = $ENV{HTTPD};
my @failed;
sh(@as, $^X, "-I$stage/t/lib", '-MMy::Token', '-e', 'My::Token::make_keys($ARGV[0])', "$stage/t/conf");
for my $driver (@ARGV) {
    print "== $driver\n";
    system(@as, $^X, "-I$stage/t/lib", "-I$stage/t/bench", "$stage/t/$driver") == 0 or push @failed, $driver;
}
remove_tree("$build/load.run");
unlink glob "$stage/t/logs/tokens.*";
sh('cp', '-R', "$stage/t/logs", "$build/load.run");
print 'failed: ', join(' ', @failed), "; logs are in $build/load.run\n" if @failed;
exit(@failed ? 1 : 0);
