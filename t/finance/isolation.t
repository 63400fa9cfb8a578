# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The second wall (decisions.md 17): what row-level security lets each role see and do, whatever the
# code in front of it asks for.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::DB qw(make_org sql value);
use My::Finance qw(bearer expense post_expense);
use Test::More;

my ($org, $other) = (make_org(3051), make_org(3052));
for my $each ($org, $other) {
    post_expense(bearer($each, 1), 'wall', expense($each * 10 + 1));
}

my @tables = qw(orgs properties users user_properties transactions idempotency_keys event_outbox);
for my $table (@tables) {
    my $column = $table eq 'orgs' ? 'id' : 'org_id';
    is value("SELECT count(*) FROM $table", 'orgscale_app'), 0, "without an organisation the app sees no row of $table";
}
sub as_org {
    my ($id, $statement) = @_;
    open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', My::DB::dsn('orgscale_app'),
        '-c', "SET app.org_id = '$id'", '-c', $statement or die "psql: $!";
    chomp(my @rows = <$psql>);
    close $psql;
    return $? ? 'refused' : join ',', @rows;
}
open STDERR, '>', "$ENV{TEST_STAGE}/t/logs/isolation.err";
for my $table (@tables) {
    my $column = $table eq 'orgs' ? 'id' : 'org_id';
    is as_org($org, "SELECT DISTINCT $column FROM $table"), $org, "with an organisation it sees that one's rows of $table alone";
}
is as_org($org, "INSERT INTO event_outbox (org_id, domain, type, event_id, data) VALUES ($other, 'finance', 'x', 'x', '{}')"),
    'refused', "it writes no event for another";
is as_org($org, "UPDATE transactions SET notes = 'x' WHERE org_id = $other RETURNING id"), '', "changes no other's row";
is as_org($org, 'DELETE FROM transactions'), 'refused', 'deletes nothing';
is as_org($org, 'DELETE FROM audit_log'), 'refused', 'not the audit log either';
is as_org($org, 'SELECT count(*) FROM audit_log'), 'refused', 'which it does not even read';
is as_org($org, 'CREATE TABLE mine (id int)'), 'refused', 'and makes no table';

is value('SELECT count(*) > 1 FROM event_outbox', 'orgscale_job'), 't', 'jobs cross organisations in the outboxes';
is eval { value('SELECT count(*) FROM transactions', 'orgscale_job') } // 'refused', 'refused', 'and read no transaction';
is value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'orgscale%' AND (rolbypassrls OR rolsuper)"), 0, 'no role of ours is above the wall';
done_testing;
