# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The history checker: many keys, written by several clients while connections are cut at COMMIT
# (F14), backends and httpd's children are killed and PostgreSQL is stopped. Each client repeats a
# key until it has a final answer. What was acknowledged is there, once, and nothing else is.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Db qw($ORG code_of ends_well post recovers site);
use My::DB qw(sql value);
use My::FaultProxy;
use POSIX ();
use Rt ();
use Test::More;
use Time::HiRes qw(time);

use constant { CLIENTS => 8, KEYS => 2000, RANDOM_SEED => 7 };

srand RANDOM_SEED;
my $site = site('db_history', lines => "FinanceDeadline 3s\nIdempotencyRemember 8M\n");
my ($pg, $proxy, $httpd) = @$site{qw(pg proxy httpd)};
recovers('before');

# One client: "key id tries cut" a key to its file. cut: a try of it was cut off, by the database's
# connection or by httpd's end, so that only the database knew what became of it.
sub client {
    my ($n, $file) = @_;
    local $SIG{PIPE} = 'IGNORE';
    Rt::caller_of(org => $ORG, user => $ORG * 10 + 1);
    open my $out, '>', $file or die "$file: $!";
    for my $k (grep { $_ % CLIENTS == $n } 1 .. KEYS) {
        my ($tries, $cut, $res) = (0, 0);
        while (1) {
            $tries++;
            $res = eval { post("h-$k", amountCents => $k) } // { status => 0 };
            $cut++ if $res->{status} == 0 || $res->{status} == 503 && $res->{body} =~ /broke before its answer/;
            last if $res->{status} && $res->{status} < 500 && code_of($res) ne 'idempotency_in_progress';
            die "h-$k: no answer after $tries tries: $res->{status}" if $tries > 500;
            select undef, undef, undef, 0.03;
        }
        my ($id) = ($res->{body} // '') =~ /"id":"?(\d+)/;
        printf $out "%s %s %s %d %d\n", "h-$k", $res->{status}, $id // 0, $tries, $cut;
    }
    close $out or die "$file: $!";
    return;
}

my %pid;
for my $n (0 .. CLIENTS - 1) {
    my $file = $httpd->dir . "/client-$n";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        eval { client($n, $file); 1 } or do { print STDERR $@; POSIX::_exit(1) };
        POSIX::_exit(0);
    }
    $pid{$pid} = $file;
}

# Faults, in turn, until the clients are through
my %done;
my @cut = ([My::FaultProxy::before_commit()], [My::FaultProxy::after_commit()]);
my @big = (
    sub { $done{child}++;     kill KILL => ($httpd->children)[0] },
    sub { $done{backend}++;   kill KILL => backend() // return },
    sub { $done{immediate}++; $pg->stop('immediate'); $pg->start }
);
sub backend {
    return eval { value("SELECT pid FROM pg_stat_activity WHERE usename = 'orgscale_app' LIMIT 1") };
}
my ($turn, $failed) = (0, 0);
while (%pid) {
    my $rule = $cut[$turn % @cut];
    $proxy->set(@$rule, chance => 0.6);
    for (1 .. 8) {
        select undef, undef, undef, 0.1;
        for my $pid (keys %pid) {
            next unless waitpid($pid, POSIX::WNOHANG()) > 0;
            $failed++ if $?;
            delete $pid{$pid};
        }
        last unless %pid;
    }
    $done{ $turn % 2 ? 'after' : 'before' } += $proxy->hits;
    $big[ $turn / 2 % @big ]->() if $turn % 2 && %pid;
    $turn++;
}
$proxy->pass;
$pg->wait_ready;
is $failed, 0, 'each client got a final answer for each key';
note join ' ', map { "$_ $done{$_}" } sort keys %done;
ok $done{$_}, "there was a fault of the kind '$_'" for qw(before after child backend immediate);

my %child = map { /^(\d+)/ ? ($1 => 1) : () } split /\n/, My::Server::slurp($httpd->dir . '/access_log');
cmp_ok scalar keys %child, '>=', 2 + ($done{child} // 0) / 2, 'children that were killed were replaced';

my (%answer, $cut);
for my $n (0 .. CLIENTS - 1) {
    for (split /\n/, My::Server::slurp($httpd->dir . "/client-$n")) {
        my ($key, $status, $id, undef, $met) = split;
        $answer{$key} = [$status, $id];
        $cut++ if $met;
    }
}
is scalar keys %answer, KEYS, 'keys';
cmp_ok $cut, '>=', KEYS / 2, "of them were cut or killed at least once: $cut";
is scalar(grep { $_->[0] != 201 } values %answer), 0, 'all of them were created at last';

# Straight from the database
recovers('after');
my %row = map { @$_ } sql('SELECT amount_cents, id FROM transactions');
is value('SELECT count(*) FROM transactions'), KEYS, 'as many rows as keys';
is scalar keys %row, KEYS, 'each key made one';
is_deeply [grep { my $k = $_; ($row{$k} // 0) != ($answer{"h-$k"}[1] // -1) } 1 .. KEYS], [],
    'the id that was answered is the id of its row';
is value('SELECT count(*) FROM idempotency_keys k JOIN transactions t ON t.id = k.entity_id'
        . q( WHERE k.key = 'h-' || t.amount_cents)), KEYS, 'the answers stored name their rows';
for my $table (['event_outbox', "(data::json->>'id')::bigint"], ['audit_log', 'resource_id']) {
    is value("SELECT count(*) FROM transactions t WHERE"
            . " (SELECT count(*) FROM $table->[0] WHERE $table->[1] = t.id) <> 1"), 0, "$table->[0]: one of each row";
    is value("SELECT count(*) FROM $table->[0]"), KEYS, "$table->[0]: and no other";
}
ok Rt::wait_for(20, sub { !value('SELECT count(*) FROM event_outbox WHERE published_at IS NULL') }),
    'all events are published, by who wrote them or by the relay';
ends_well($httpd);
done_testing;
