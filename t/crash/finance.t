# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A child is killed behind the commit of a write, at the crash points that follow in turn: the first lies before
# anything is outdated. A list that was kept shows the row all the same, once the relay has been there, and the
# event is published.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$FindBin::Bin/../fault", "$FindBin::Bin/../edge";
use Apache::Test ();
use Db qw($ORG ask_post ends_well post site);
use Edge qw(ask caller_of status_of unzip);
use My::DB qw(quick value wait_for);
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use Rt qw(answer);
use Test::More;

expect_error('AH00052: child pid \d+ exit signal Killed');
expect_warn('AH10392');
my $hooks = My::Hooks->new;
%ENV = (%ENV, %{ $hooks->env });
my $site = site('crash_finance', lines => <<"CONF");
TenantTrustedEdge none
Include $ENV{TEST_STAGE}/src/conf/edge-families.conf
CacheQuickHandler off
<LocationMatch "^/v1/finance/expenses">
    EdgeCache   finance
    CacheEnable ${\ Edge::storage() }
</LocationMatch>
CONF
my $httpd = $site->{httpd};
Edge::stands_for(edge => $httpd->port);
my @owner = (by => { org => $ORG, user => $ORG * 10 + 1, role => 'owner' });

sub list { return eval { ask("GET /v1/finance/expenses?propertyId=${ORG}1", @owner) } // { status => 0, header => {} } }
sub shows { my $cents = shift; my $res = list(); return $res->{status} == 200 && unzip($res) =~ /"amountCents":$cents\b/ }
sub relay { return quick('SELECT pg_advisory_' . shift . "lock(hashtextextended('orgscale event relay', 0))") }

my $stale = 0;
ok wait_for(10, sub { post('first')->{status} == 201 }), 'the database is there';
for my $n (1 .. 4) {
    my $cents = 7000 + $n;
    wait_for(10, sub { status_of(list()) eq 'hit' });
    relay('');          # has to wait until it was seen what the death left
    $hooks->arm($n, 'KILL');
    my $socket = ask_post("crash-$n", amountCents => $cents);
    answer($socket, 10);
    $hooks->disarm;
    my $is_stale = wait_for(10, sub { list()->{status} == 200 }) && !shows($cents);
    relay('un');
    if (!$hooks->struck) {
        fail "at point $n: there is none, and the write is answered";
        next;
    }
    $stale++ if $is_stale;
    is value("SELECT count(*) FROM transactions WHERE amount_cents = $cents"), 1, "at point $n: it was booked";
    ok wait_for(30, sub { shows($cents) }), "at point $n: the list shows it";
    ok wait_for(30, sub { !value('SELECT count(*) FROM event_outbox WHERE published_at IS NULL') }), "at point $n: its event is published";
    is post("crash-$n", amountCents => $cents)->{status}, 201, "at point $n: to say it again";
    is value("SELECT count(*) FROM transactions WHERE amount_cents = $cents"), 1, "at point $n: books nothing";
}
is $stale, 1, 'one lies before what is outdated';
ends_well($httpd);
done_testing;
