# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The connection breaks at COMMIT: what is reported, and what is true.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::FaultProxy;

my $before = My::FaultProxy->new($ENV{TEST_PGHOST});
my $after = My::FaultProxy->new($ENV{TEST_PGHOST});
$before->set(My::FaultProxy::before_commit());
$after->set(My::FaultProxy::after_commit());
$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{TEST_CUT_BEFORE} = $before->host;
$ENV{TEST_CUT_AFTER} = $after->host;
my $status = system "$ENV{TEST_STAGE}/unit/test_cut";
undef $before;
undef $after;
exit($status ? 1 : 0);
