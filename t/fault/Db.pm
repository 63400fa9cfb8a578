# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Db;

# What the suites of database faults share: a site (PostgreSQL, fault proxy, httpd), requests to it,
# and what they must be answered when the database can't.

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use FindBin;
use lib "$FindBin::Bin/../realtime";
use JSON::PP ();
use My::DB qw(make_org);
use My::FaultProxy;
use My::Finance qw(expense);
use My::Log qw(expect_error);
use My::Postgres;
use My::Server;
use Rt qw(answer ask caller_of event publish request);
use Test::More;
use Time::HiRes qw(time);
our @EXPORT_OK = qw($ORG ask_list ask_post code_of ends_well list lock_table median no_database post recovers repeat served
                    site unlock_table verdict);

our $ORG = 41;

# What an outage makes httpd say: a breaker opened, a connect failed
my @expected = ('OG2200: \d+ database connections in a row', 'OG2205: no database connection');
expect_error(@expected);

# { pg, proxy, httpd }, all of them running; what is said after site() goes to it. httpd's events go
# to rt_a.   lines => directives   dsn => host (the proxy's)   up => 0: PostgreSQL is stopped again
sub site {
    my ($name, %opt) = @_;
    my $pg = My::Postgres->new->start->migrate;
    $ENV{TEST_PGHOST} = $pg->host;      # My::DB's
    make_org($ORG);
    $pg->stop if exists $opt{up} && !$opt{up};
    my $proxy = My::FaultProxy->new($pg->host);
    my $httpd = My::Server->new($name, realtime => 1, dsn => $opt{dsn} // $proxy->host,
        lines => "FinanceEventDomain rt_a\n" . ($opt{lines} // ''));
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    return { pg => $pg, proxy => $proxy, httpd => $httpd };
}

my $coder = JSON::PP->new->canonical->utf8;

# A request on its way: a list, a write.
sub ask_list {
    return ask('GET', '/v1/finance/expenses?limit=1', undef, Authorization => caller_of(org => $ORG, user => $ORG * 10 + 1));
}

sub ask_post {
    my ($key, %change) = @_;
    return ask('POST', '/v1/finance/expenses', $coder->encode(expense($ORG * 10 + 1, %change)),
        Authorization => caller_of(org => $ORG, user => $ORG * 10 + 1),
        'Content-Type' => 'application/json', 'Idempotency-Key' => $key);
}

sub list { return answer(ask_list()) // { status => 0 } }
sub post { return answer(ask_post(@_)) // { status => 0 } }

# The status of a write that is repeated. A try that was given up may hold its key still: its server
# process learns of that by reading from the connection.
sub repeat {
    my $key = shift;
    my $res;
    Rt::wait_for(5, sub { $res = post($key); return code_of($res) ne 'idempotency_in_progress' });
    return $res->{status};
}

sub code_of {
    my $res = shift;
    return '' unless $res->{status} && $res->{head} =~ m{^Content-Type: application/problem\+json}mi;
    return $coder->decode($res->{body})->{code};
}

# An answer in a word: "200", or "503 upstream_unavailable" when it is all that a problem must be.
sub verdict {
    my $res = shift // { status => 0 };
    my $code = code_of($res) or return $res->{status};
    my $wait = $res->{head} =~ /^Retry-After: (\d+)\r$/mi;
    return "$res->{status} $code" . ($res->{status} == 503 && !$wait ? ' without Retry-After' : '');
}

# What needs no database: works, and how long each took by this side's clock.
sub no_database {
    my $name = shift;
    my @res = (request('GET', '/index.html'), publish('a', event(9)),
        answer(Rt::poll('a', caller_of(org => 9), 'wait=0&cursor=earliest')));
    is join(' ', map { $_->{status} } @res), '200 202 200', "$name: a page, a publication and a poll are as ever";
    return map { $_->{took} } @res;
}

# Of the requests since a mark of the access log, what the server says: { request, status, seconds }.
# A line is written behind its answer, so they are waited for.
sub served {
    my ($httpd, $mark, $n) = @_;
    my @lines;
    Rt::wait_for(10, sub {
        @lines = map { /"(.*?)" (\d+) (\d+)$/ ? { request => $1, status => $2, seconds => $3 / 1e6 } : () }
            split /\n/, My::Server::slurp($httpd->dir . '/access_log', $mark);
        @lines >= $n;
    }) or die 'the access log has ' . @lines . " lines, not $n";
    return @lines;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[$#sorted / 2];
}

# Within 2 s, or what is allowed to a build for use, the database is in use again, by all children: the last failure
# lies before that.
sub recovers {
    my ($name, %opt) = @_;
    my ($since, $within) = ($opt{since} // time, ($opt{within} // 2) * My::Server::slowness());
    my ($row, $last) = (0, $since);
    # for a second, in which every child has been asked: each has its own word on whether there is a database
    while (($row < 20 || time < $last + 1) && time < $since + 20) {
        if (list()->{status} == 200) { $row++ }
        else { ($row, $last) = (0, time) }
        select undef, undef, undef, 0.01;
    }
    cmp_ok $row, '>=', 20, "$name: lists work again";
    cmp_ok $last - $since, '<=', $within, "$name: within $within s";
    return;
}

# Nothing else was wrong: no error but those of the outage, no child that died of itself, a clean stop.
sub ends_well {
    my $httpd = shift;
    my ($status) = $httpd->stop;
    is $status, 0, 'httpd stops cleanly';
    my $expected = join '|', @expected;
    is_deeply [grep { /:(?:error|crit|alert|emerg)\]|exit signal|Assertion|runtime error:/ && !/$expected/ }
        split /\n/, $httpd->errors], [], 'its log has no other error';
    return;
}

# Holds the table of expenses until unlock_table(): in a prepared transaction, which outlives the server. A session
# that held it would be ended with the server, maybe ahead of who waits, who would then be served.
sub lock_table {
    My::DB::sql(q{BEGIN; LOCK TABLE transactions; PREPARE TRANSACTION 'lock'});
    return;
}

sub unlock_table {
    My::DB::sql(q{ROLLBACK PREPARED 'lock'});
    return;
}

1;
