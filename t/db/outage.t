# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The database stops, is killed, freezes, comes back: on a server of this test's own.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Control;
use My::Postgres;

my $pg = My::Postgres->new->start->migrate;
$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{TEST_PGHOST} = $pg->host;
my $status = My::Control::run("$ENV{TEST_STAGE}/unit/test_outage",
    stop    => sub { $pg->stop('immediate') },
    start   => sub { $pg->start; 1 },
    freeze  => sub { $pg->freeze },
    thaw    => sub { $pg->thaw });
undef $pg;
exit $status;
