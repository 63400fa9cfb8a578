# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The buckets of Redis beside those of this host: the same charges get the same verdicts.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Control;
use My::Redis;

my $redis = My::Redis->new->start;
$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{TEST_REDIS} = $redis->server;
my $status = My::Control::run("$ENV{TEST_STAGE}/unit/test_redis_gcra");
undef $redis;
exit $status;
