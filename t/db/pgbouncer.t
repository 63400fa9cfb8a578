# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The same transactions through a private PgBouncer in transaction mode, with the settings that
# conf/pgbouncer.ini recommends.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::PgBouncer;

exit My::PgBouncer::through($ENV{TEST_PGHOST}, 'test_tx');
