# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Modules are loaded in any order, and some are not there (F37); two servers run on one machine (F36).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use My::DB qw(make_org);
use My::Finance qw(expense);
use My::Log qw(expect_error);
use My::Server;
use Rt qw(answer caller_of event ask json_of poll publish request subscribe wait_for waiters);
use Test::More;

my $stage = $ENV{TEST_STAGE};
my @stock = grep { !m{$stage/modules/} } split /^/, My::Server::slurp("$stage/load.conf");
my %ours = map { m{mod_(\w+)\.so$} ? ($1 => "LoadModule $1_module $_\n") : () } glob "$stage/modules/mod_*.so";
my $org = make_org(7300);

sub load { return join '', @stock, map { $ours{$_} // die "no $_" } @_ }

# All orders of a list
sub orders {
    my @list = @_;
    return [] unless @list;
    return map { my $n = $_; map { [$list[$n], @$_] } orders(@list[grep { $_ != $n } 0 .. $#list]) } 0 .. $#list;
}

sub post {
    my $key = shift;
    return request('POST', '/v1/finance/expenses', JSON::PP->new->canonical->encode(expense($org * 10 + 1)),
        Authorization => caller_of(org => $org, user => $org * 10 + 1), 'Content-Type' => 'application/json', 'Idempotency-Key' => $key);
}

# A server with all three, in each order: a write by one caller reaches another's parked poll
my $count = 0;
for my $order (orders(qw(tenant realtime_lp finance))) {
    my $what = join ', ', @$order;
    my @rest = grep { my $name = $_; !grep { $_ eq $name } @$order } sort keys %ours;
    my $httpd = My::Server->new('order' . ++$count, realtime => 1, dsn => $ENV{TEST_PGHOST}, load => load(@$order, @rest),
        lines => "FinanceEventDomain rt_a\n");
    $httpd->start;
    local $Rt::address = '127.0.0.1:' . $httpd->port;
    my $parked = poll('a', caller_of(org => $org, user => $org * 10 + 2), 'wait=20');
    ok wait_for(10, sub { waiters($org) == 1 }), "$what: a poll is parked";
    ok wait_for(10, sub { post("order-$count")->{status} == 201 }), "$what: an expense is booked";
    is json_of(answer($parked))->{events}[0]{type}, 'expense.created', "$what: and reaches the poll";
    my $refused = request('GET', '/rt/a/subscribe?wait=0');
    is $refused->{status}, 401, "$what: who has no token is refused";
    like $refused->{head}, qr{^Content-Type: application/problem\+json\r$}mi, "$what: with a problem";
    unlike $refused->{head}, qr/^X-Org-Key/mi, "$what: and no internal header";
    is(($httpd->stop)[0], 0, "$what: it ends as it should");
}

# Without mod_tenant nobody can be verified: the others fail closed, and say so once asked
my $handlers = <<'CONF';
<Location /rt/a/subscribe>
    SetHandler realtime-subscribe
    RealtimeDomain rt_a
    Require all granted
</Location>
<Location /v1/finance/>
    SetHandler finance
    Require all granted
</Location>
CONF
expect_error('OG1503', 'OG1600: ');
{
    my $httpd = My::Server->new('no_tenant', load => load(qw(realtime_lp finance)),
        lines => qq(FinanceDSN "host=$ENV{TEST_PGHOST} user=orgscale_app dbname=orgscale"\n$handlers))->start;
    local $Rt::address = '127.0.0.1:' . $httpd->port;
    for my $path ('/rt/a/subscribe?wait=0', '/v1/finance/expenses') {
        my $res = request('GET', $path, undef, Authorization => caller_of(org => $org), 'X-Org-Id' => $org);
        cmp_ok $res->{status}, '>=', 400, "without mod_tenant: $path is refused ($res->{status})";
        like $res->{head}, qr{^Content-Type: application/problem\+json\r$}mi, 'with a problem';
    }
    is request('GET', '/index.html')->{status}, 200, 'without mod_tenant: the rest of the site is served';
    is(($httpd->stop)[0], 0, 'and it ends as it should');
}

# Without mod_realtime_lp an expense is booked all the same, and its event waits in the outbox
{
    my $httpd = My::Server->new('no_realtime', dsn => $ENV{TEST_PGHOST}, load => load(qw(tenant finance)))->start;
    local $Rt::address = '127.0.0.1:' . $httpd->port;
    ok wait_for(10, sub { post('no-realtime')->{status} == 201 }), 'without mod_realtime_lp: an expense is booked';
    is(($httpd->stop)[0], 0, 'and it ends as it should');
}

# Without mod_finance its handler is nobody's
{
    my $httpd = My::Server->new('no_finance', realtime => 1, load => load(qw(realtime_lp tenant)),
        lines => "<Location /v1/finance/>\nSetHandler finance\n</Location>\n")->start;
    local $Rt::address = '127.0.0.1:' . $httpd->port;
    is publish('a', event($org))->{status}, 202, 'without mod_finance: events are published';
    is request('GET', '/v1/finance/expenses')->{status}, 404, 'and its paths are nothing';
    is(($httpd->stop)[0], 0, 'and it ends as it should');
}

# F36: two servers with the same configuration share nothing
{
    my @httpd = map { My::Server->new("two$_", realtime => 1)->start } 1, 2;
    my @cursor;
    for my $n (0, 1) {
        local $Rt::address = '127.0.0.1:' . $httpd[$n]->port;
        $cursor[$n] = subscribe('a', caller_of(org => 7301), 'wait=0')->{cursor};
        publish('a', event(7301, eventId => "of-$n"));
    }
    for my $n (0, 1) {
        local $Rt::address = '127.0.0.1:' . $httpd[$n]->port;
        is join(' ', map { $_->{eventId} } @{ subscribe('a', caller_of(org => 7301), 'wait=0&cursor=earliest')->{events} }), "of-$n",
            'two servers on one machine: each has its own events';
        is subscribe('a', caller_of(org => 7301), "wait=0&cursor=$cursor[1 - $n]")->{gap}{reason}, 'foreign',
            "and a cursor of the other's is a foreign one";
    }
    kill KILL => $httpd[0]->pid, $httpd[0]->children;
    local $Rt::address = '127.0.0.1:' . $httpd[1]->port;
    is publish('a', event(7301, eventId => 'more'))->{status}, 202, 'one is killed, all of it: the other works on';
    is(($httpd[1]->stop)[0], 0, 'and ends as it should');
}
done_testing;
