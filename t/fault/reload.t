# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Reloads: what is kept.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use My::Server;
use Rt qw(caller_of event publish subscribe);
use Test::More;
my $httpd = My::Server->new('reload', realtime => 1);
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;
is publish('a', event(7))->{status}, 202, 'publishes';
$httpd->graceful;
is scalar @{ subscribe('a', caller_of(org => 7), 'wait=0&cursor=earliest')->{events} }, 1, 'kept';
my ($status) = $httpd->stop;
is $status, 0;
done_testing;
