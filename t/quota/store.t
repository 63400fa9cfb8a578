# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# QuotaStore: another store decides while it answers; when it does not, this host's buckets do, within
# its deadline, and that is counted and said once. And the table of this host when it is full.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use My::Log qw(expect_warn);
use My::Server;
use Quota qw(ask caller_of counts limits site statuses);
use Test::More;
use Time::HiRes qw(time);

expect_warn('OG1101', 'OG1103', 'OG1104');
my ($stage, $logs) = ($ENV{TEST_STAGE}, "$ENV{TEST_STAGE}/t/logs");
my $site = "DocumentRoot $stage/t/tenant/docs\n" . site(<<'CONF');
    QuotaPolicy    write user 3/h
    QuotaPolicy    read user 100/h
CONF
my $one_child = "StartServers 1\nMaxRequestWorkers 16\n<IfModule !mpm_prefork_module>\nMinSpareThreads 1\nThreadsPerChild 16\nServerLimit 1\n</IfModule>\n";

# the store of this folder, built as a user's module would be
my @flags = map { split ' ', `$_` } 'apxs -q CFLAGS', 'apr-1-config --includes --cppflags', 'apu-1-config --includes';
my $include = `apxs -q INCLUDEDIR`;
chomp $include;
is system('cc', '-shared', '-fPIC', @flags, "-I$include", "-I$stage/src/include", '-o', "$logs/slow_store.so", "$FindBin::Bin/slow_store.c"), 0,
    'a store is built against mod_quota.h' or BAIL_OUT('no compiler');
my $switch = "$logs/slow_store.on";
My::Token::spew($switch, '');
my $httpd = My::Server->new('store', mpm => $one_child,
    lines => "QuotaStore slow\nLoadModule slow_store_module $logs/slow_store.so\n$site");
$httpd->start(env => { SLOW_STORE => $switch });
$Quota::port = $httpd->port;
my $org = 7600;
my $one_process = ($ENV{TEST_MPM} || 'event') eq 'prefork';

my $res = ask('POST /page.html', by => [++$org, 1]);
is $res->{status}, 200, 'what it lets pass passes';
is limits($res), 'write-user 3 4242', 'with its numbers';
$res = ask('POST /page.html', by => [$org, 2]);
is $res->{status}, 429, 'what it refuses is refused';
is $res->{header}{'retry-after'}, 2, 'for as long as it says, in whole seconds';
is statuses(3, 'POST /page.html', by => [$org, 2]), '429 429 429', 'not by this host\'s bucket, which is full';
is counts()->{Fallbacks}, 0, 'no other was asked';

unlink $switch or die "$switch: $!";
my $began = time;
is statuses(4, 'POST /page.html', by => [$org, 2]), '200 200 200 429', 'when it does not answer this host\'s buckets decide';
cmp_ok time - $began, '<', 4, 'without much ado';
is counts()->{Fallbacks}, 4, 'each time is counted';
is limits(ask('POST /page.html', by => [$org, 2])), 'write-user 3 0', 'and says what it has';
# once a child: prefork has several
my $said = () = $httpd->errors =~ /OG1104: the store does not answer: buckets of this host decide \(QuotaStore slow\)/g;
ok $said >= 1 && $said <= ($one_process ? 16 : 1), 'it is said once';

My::Token::spew($switch, '');
is statuses(1, 'POST /page.html', by => [++$org, 1]), '200', 'it answers again';
# by the child that missed it: prefork has several
my $again = qr/OG1105: the store answers again \(QuotaStore slow\)/;
for (1 .. 200) {
    last if $httpd->errors =~ $again;
    ask('POST /page.html', by => [$org, 1]);
}
like $httpd->errors, $again, 'which is said';
is counts()->{Fallbacks}, 5, 'nobody else is asked';
unlink $switch;
is statuses(2, 'POST /page.html', by => [$org, 1]), '200 200', 'and so again';
$said = () = $httpd->errors =~ /OG1104/g;
ok $said >= 1 && $said <= ($one_process ? 16 : 1), 'but it is not said again within a minute';
is(($httpd->stop)[0], 0, 'the server stops as it should');

# 64 shards with one bucket each: the second key of a shard shares
$httpd = My::Server->new('table', mpm => $one_child, lines => "QuotaTableSize 64\n$site")->start;
$Quota::port = $httpd->port;
is join(' ', map { ask('POST /page.html', by => [7650, 1])->{status} } 1 .. 4), '200 200 200 429', 'a user is at his limit';
my %got;
$got{ ask('POST /page.html', by => [7650, $_])->{status} }++ for 2 .. 300;
ok $got{200} && $got{429}, "of 299 others $got{200} are let in, the rest shares and is refused";
cmp_ok $got{200}, '<=', 64 + 16 * 64 * 3, 'by the bucket that they share';
is ask('POST /page.html', by => [7650, 1])->{status}, 429, 'who was at his limit still is: nobody in debt is evicted';
cmp_ok counts()->{Overflowed}, '>=', 299 - 64, 'it is counted';
$said = () = $httpd->errors =~ /OG1103: the table is full: user:7650:\d+, and whoever comes now, shares a bucket a policy \(QuotaTableSize 64\)/g;
is $said, 1, 'and said once';

# a reload keeps all of it
for my $lines ("QuotaTableSize 64\n", "QuotaTableSize 6400\n", '') {
    $httpd->configure(mpm => $one_child, lines => "$lines$site");
    $httpd->graceful;
    is ask('POST /page.html', by => [7650, 1])->{status}, 429, 'a reload forgives nothing: ' . ($lines =~ s/\n//r || 'no QuotaTableSize');
}
like $httpd->errors, qr/OG1101: QuotaTableSize: changing it from 64 to 6400 takes a stop and a start; a restart keeps the table/, 'nor does a new size';
is(($httpd->stop)[0], 0, 'the server stops as it should');
done_testing;
