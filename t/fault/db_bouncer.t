# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# PgBouncer in transaction mode between httpd and PostgreSQL is restarted while organisations write
# and read through it (F17): nothing is lost or doubled, and nobody sees another's rows.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Db qw($ORG code_of ends_well list recovers site);
use JSON::PP ();
use My::DB qw(make_org value);
use My::FaultProxy;
use My::Finance qw(expense);
use My::PgBouncer;
use My::Postgres;
use POSIX ();
use Rt qw(caller_of request);
use Test::More;

use constant { ORGS => 4, KEYS => 60, RESTARTS => 3 };

my $site = site('db_bouncer', lines => "FinanceDeadline 3s\n");
my ($pg, $proxy, $httpd) = @$site{qw(pg proxy httpd)};
My::DB::sql("ALTER SYSTEM SET log_statement = 'all'");
My::DB::sql('SELECT pg_reload_conf()');

# Where PgBouncer comes and goes, the socket that httpd knows stays: the proxy's
my $bouncer = My::PgBouncer->new($pg->host);
my $place = "$ENV{TEST_STAGE}/t/logs/db_bouncer/now";
sub point {
    unlink $place;
    symlink $bouncer->host . '/.s.PGSQL.6432', $place or die "symlink: $!";
    return;
}
point();
my $front = My::FaultProxy->new($place);
$httpd->configure(realtime => 1, dsn => $front->host, lines => "FinanceEventDomain rt_a\nFinanceDeadline 3s\n");
$httpd->restart;
my @orgs = map { make_org($ORG + $_) } 1 .. ORGS;
recovers('through PgBouncer');

# One organisation's client: each expense carries its number, each list must show no other's. Says
# how many rows of somebody else it saw; dies where a key has no final answer.
sub client {
    my $org = shift;
    my %who = (Authorization => caller_of(org => $org, user => $org * 10 + 1));
    my ($foreign, $lists, $failed) = (0, 0, 0);
    for my $k (1 .. KEYS) {
        my $body = JSON::PP->new->canonical->encode(expense($org * 10 + 1, description => "of $org"));
        my ($tries, $res) = (0);
        do {
            die "$k: no answer" if ++$tries > 500;
            select undef, undef, undef, 0.02 if $tries > 1;
            $res = request('POST', '/v1/finance/expenses', $body, %who, 'Content-Type' => 'application/json',
                'Idempotency-Key' => "b-$k");
        } until $res->{status} < 500 && code_of($res) ne 'idempotency_in_progress';
        die "$k: $res->{status}" if $res->{status} != 201;
        $failed += $tries - 1;
        my $list = request('GET', '/v1/finance/expenses?limit=500', undef, %who);
        next if $list->{status} != 200;
        $lists++;
        $foreign += grep { $_ ne "of $org" } $list->{body} =~ /"description":"([^"]*)"/g;
    }
    die 'no list at all' if !$lists;
    return ($foreign, $failed);
}

my %pid;
for my $org (@orgs, @orgs) {        # two clients an organisation, with the same keys
    my $file = $httpd->dir . "/seen-$org-" . keys %pid;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        eval {
            my @seen = client($org);
            open my $out, '>', $file or die "$file: $!";
            print $out "@seen";
            close $out or die "$file: $!";
        };
        print STDERR $@ if $@;
        POSIX::_exit($@ ? 1 : 0);
    }
    $pid{$pid} = $file;
}
my $rows = sub { value('SELECT count(*) FROM transactions') };
for my $turn (1 .. RESTARTS) {
    My::DB::wait_for(30, sub { $rows->() >= ORGS * KEYS * $turn / (RESTARTS + 1) }) or die 'nothing is written';
    undef $bouncer;
    $bouncer = My::PgBouncer->new($pg->host);
    point();
}
my ($foreign, $tries, $ended) = (0, 0, 0);
for my $pid (keys %pid) {
    waitpid $pid, 0;
    $ended++ if $? == 0;
    my ($seen, $failed) = split / /, My::Server::slurp($pid{$pid});
    $foreign += $seen // 0;
    $tries += $failed // 0;
}
is $ended, 2 * ORGS, 'each client got its final answers';
cmp_ok $tries, '>', 0, "the restarts were felt: $tries tries failed";
is $foreign, 0, "no client saw another organisation's row";
is $rows->(), ORGS * KEYS, 'each key made one row';
is value(q(SELECT count(*) FROM transactions WHERE description <> 'of ' || org_id)), 0, 'of its own organisation';
is value('SELECT count(*) FROM event_outbox'), ORGS * KEYS, 'and one event';
recovers('after the restarts');
unlike $pg->log, qr/execute (?!<unnamed>)\S+:/, 'no statement had a name';
like $pg->log, qr/execute <unnamed>: BEGIN/, '(of those that the log shows)';
ends_well($httpd);
done_testing;
