# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL is not there when httpd starts (F10), is stopped under requests (F11), loses a backend
# to kill -9 and with it all connections (F12).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Db qw($ORG ask_list ask_post ends_well list lock_table no_database post recovers repeat served site unlock_table verdict);
use My::DB qw(value wait_for);
use Rt qw(answer);
use Test::More;
use Time::HiRes qw(time);

# F10
my $site = site('db_down', up => 0, lines => "FinanceDeadline 10s\n");
my ($pg, $httpd) = @$site{qw(pg httpd)};
my $down = '503 upstream_unavailable';
is verdict(list()), $down, 'down at start: httpd serves, a list is refused';
is verdict(post('early')), $down, 'a write too';
my $mark = -s $httpd->dir . '/access_log';
is verdict(list()), $down, 'and again' for 1 .. 20;
my @took = map { $_->{seconds} } served($httpd, $mark, 20);
cmp_ok Db::median(@took), '<=', 0.1, 'at once';
no_database('down');
$pg->start;
recovers('started');
is post('early')->{status}, 201, 'the write that was refused is done';

# requests that are under way when the server goes: they wait for a lock on the table, which is still held when it
# is back
sub under_way {
    my ($name, $what) = @_;
    lock_table();
    my @asked = ((map { ask_list() } 1 .. 4), (map { ask_post("$name-$_") } 1 .. 4));
    wait_for(10, sub {
        8 == value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'orgscale_app' AND wait_event_type = 'Lock'")
    }) or die 'the requests do not wait';
    my $began = time;
    $what->();
    my @answers = map { answer($_) } @asked;
    is_deeply [map { verdict($_) } @answers], [($down) x 8], "$name: each request under way is told";
    cmp_ok time - $began, '<=', 5, "$name: and not at its deadline of 10 s";
    return;
}

# Each key again: done now, and once
sub repeated {
    my $name = shift;
    is_deeply [map { repeat("$name-$_") } 1 .. 4], [(201) x 4], "$name: the writes repeated are done";
    is value("SELECT count(DISTINCT entity_id) FROM idempotency_keys WHERE key LIKE '$name-%'"), 4,
        "$name: each under its key";
    is value("SELECT count(*) FROM transactions t WHERE NOT EXISTS"
            . " (SELECT FROM idempotency_keys k WHERE k.entity_id = t.id)"), 0, "$name: no row without one";
    return;
}

for my $mode (qw(fast immediate)) {     # F11
    under_way($mode, sub { $pg->stop($mode) });
    is verdict(list()), $down, "stopped, $mode: refused";
    no_database("stopped, $mode");
    $pg->start;
    unlock_table();
    recovers("after $mode");
    repeated($mode);
}

# F12
under_way('killed', sub {
    my $victim = value("SELECT pid FROM pg_stat_activity WHERE usename = 'orgscale_app' LIMIT 1");
    kill KILL => $victim or die "kill: $!";
});
my $since = time;
$pg->wait_ready;
unlock_table();
recovers('after kill -9', since => $since);
repeated('killed');
is scalar(grep { $_->{status} != 200 } map { list() } 1 .. 50), 0, 'none of the dead connections is lent';

# F16: a server that became read-only, as after a failover to a standby
sub read_only {
    my $setting = shift;
    My::DB::sql($_) for "ALTER SYSTEM SET default_transaction_read_only = $setting", 'SELECT pg_reload_conf()';
    return;
}
read_only('on');
ok wait_for(10, sub { verdict(post('read-only-' . time)) eq $down }), 'read-only: a write is refused as by a server that is down';
is verdict(post('standby')), $down, 'read-only: again' for 1 .. 20;
read_only('off');
$since = time;
ok wait_for(10, sub { post('standby')->{status} == 201 }), 'a primary again: the write is done';
cmp_ok time - $since, '<=', 2, 'within 2 s';

ends_well($httpd);
done_testing;
