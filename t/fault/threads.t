# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# No more threads (F28), because of a limit: those that our modules start with a child are refused by
# preload, by one module, by all, by chance. The child says so once and goes on without; where httpd's
# own are refused as well it ends, and none is forked in its place more often than once a second.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org);
use My::Finance qw(expense);
use My::Log qw(expect_error expect_warn);
use My::Postgres;
use My::Server;
use My::Shim;
use Rt qw(answer ask caller_of event json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(time);

plan skip_all => My::Shim::unfit() if My::Shim::unfit();
my $kind = $ENV{TEST_MPM} // 'event';
my $org = 741;

expect_error('\(11\)Resource temporarily unavailable: (?:.*: )?OG(?:1206|1523|1602|2101|2203)', 'OG1206');
expect_warn('OG2100: Redis is not there', 'OG1104', 'OG1208');        # nobody listens where Redis should be
my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;      # My::DB's
make_org($org);
my $nobody = My::Server::free_port();
my $shim = My::Shim->new;
my $httpd = My::Server->new('threads', realtime => 1, dsn => $pg->host, lines => <<"CONF");
QuotaEnable  Off
QuotaStore   redis
RedisServer  127.0.0.1:$nobody
<Location /quota>
    QuotaEnable On
    QuotaPolicy read address 1000/min
</Location>
<Location /once>
    AuthType       TenantJWT
    AuthName       orgscale
    TenantJWKS     file:$ENV{TEST_STAGE}/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    Idempotency    required
    RealtimeDomain rt_a
    SetHandler     realtime-publish
</Location>
Alias /quota $ENV{TEST_STAGE}/t/htdocs
CONF
$httpd->start(env => $shim->env);
$Rt::address = '127.0.0.1:' . $httpd->port;

my %owner = (Authorization => caller_of(org => $org, user => $org * 10 + 1));
my $keys = 0;        # of keys and events

sub list { return request('GET', '/v1/finance/expenses?limit=1', undef, %owner, Connection => 'close') }
sub once {
    return request('POST', '/once', JSON::PP::encode_json(event($org)), %owner, Connection => 'close', 'Content-Type' => 'application/json',
        'Idempotency-Key' => 'threads-' . ++$keys);
}

# New children, all of them, with what is refused to them
sub renewed_with {
    my %rule = @_;
    my $mark = $httpd->mark;
    $shim->set(thread => \%rule);
    $httpd->graceful->renewed;
    ok wait_for(10, sub { $httpd->children >= 2 }), 'there are children';
    is request('GET', '/index.html')->{status}, 200, 'they answer';
    return $mark;
}

# Four polls and an event for them: how long the last took, at best
sub woken {
    my $best = 99;
    my $id = 'w' . ++$keys;
    my $admin = caller_of(org => $org, role => 'admin');
    for my $round (1 .. 3) {
        my $cursor = subscribe('a', $owner{Authorization}, 'wait=0')->{cursor};
        my $before = metrics('a', $admin)->{totals}{polls};
        my @polls = map { poll('a', $owner{Authorization}, "wait=20&cursor=$cursor") } 1 .. 4;
        # in a child without a doorbell nobody counts those that are parked
        wait_for(10, sub { metrics('a', $admin)->{totals}{polls} == $before + 4 }) or return 'not parked';
        my $began = time;
        publish('a', event($org, eventId => "$id-$round"))->{status} == 202 or return 'not published';
        for (map { answer($_, 10) } @polls) {
            return 'no answer' if !$_ || $_->{status} != 200;
            my $said = json_of($_);
            # of prefork's processes without a doorbell one in three parks no poll
            next if $kind eq 'prefork' && $said->{retryMs} && !@{ $said->{events} };
            return 'not woken' if ($said->{events}[0]{eventId} // '') ne "$id-$round";
        }
        $best = time - $began if time - $began < $best;
    }
    return $best;
}

# How often the log has a tag, of how many children
sub said {
    my ($mark, $tag) = @_;
    my %by;
    my $n = grep { /\b$tag\b/ && /:error\] \[pid (\d+)/ && ++$by{$1} } split /\n/, $httpd->errors($mark);
    return ($n, scalar keys %by);
}

# All modules work: a poll, the database, keys.
sub well {
    my $what = shift;
    cmp_ok woken(), '<', 0.6, "$what: polls are woken";
    ok wait_for(5, sub { list()->{status} == 200 }), "$what: the database is there";
    is once()->{status}, 202, "$what: a key is taken";
    is request('GET', '/quota/index.html')->{status}, 200, "$what: a limited page is served";
    return;
}

$shim->clear;
well('threads as ever');

# one module: what it says, and what it can't do then
my @cases = (
    ['mod_realtime_lp', 'OG1523', sub { }],
    ['mod_finance', 'OG2203', sub {
        is list()->{status}, 503, 'requests to the database are refused';
        like list()->{head}, qr/^Retry-After: \d+\r$/mi, 'with a time to come back';
    }],
    ['mod_idempotency', 'OG1206', sub { is once()->{status}, 503, 'requests with a key are refused' }],
    ['mod_orgscale_redis', 'OG2101', sub { }],
);
for my $case (@cases) {
    my ($module, $tag, $lacks) = @$case;
    my $mark = renewed_with(error => 'EAGAIN', chance => 1, of => "/$module.so");
    my @children = sort $httpd->children;
    cmp_ok woken(), '<', 0.6, "$module: polls are woken";
    is request('GET', '/quota/index.html')->{status}, 200, "$module: a limited page is served";
    is list()->{status}, 200, "$module: the database is there" if $module ne 'mod_finance' && wait_for(5, sub { list()->{status} == 200 });
    is once()->{status}, 202, "$module: a key is taken" if $module ne 'mod_idempotency';
    $lacks->();
    my ($lines, $of) = said($mark, $tag);
    ok $of >= 1 && $lines <= 2 * $of, "$module: a child says so once for each use" or diag $httpd->errors($mark);
    is_deeply [sort $httpd->children], \@children, "$module: no child ends for it";
    renewed_with();
    well("after $module");
}

# by chance, of all that start threads: a half of a pair is no more than none
for my $round (1 .. 5) {
    renewed_with(error => 'EAGAIN', chance => 0.5, of => '/mod_');
    cmp_ok woken(), '<', 0.6, "$round: polls are woken";
    my %seen = map { list()->{status} => 1 } 1 .. 6;
    is_deeply [grep { $_ != 200 && $_ != 503 } keys %seen], [], "$round: the database is there, or is not";
}
renewed_with();
well('after chance');

# httpd's own as well: its children end as soon as they start
if ($kind ne 'prefork') {
    expect_error('unable to create (?:worker|listener|a) ?thread', 'AH01573', 'AH00052: child pid \d+ exit signal Killed');
    my $mark = $httpd->mark;
    $shim->set(thread => { error => 'EAGAIN', chance => 1 });
    my @old = $httpd->children;
    kill KILL => @old;
    Time::HiRes::sleep(6);      # how often it tries
    my %tried = map { $_ => 1 } grep { my $pid = $_; !grep { $_ == $pid } @old, $httpd->pid } $httpd->errors($mark) =~ /\[pid (\d+)/g;
    cmp_ok scalar keys %tried, '>=', 1, 'children are started';
    cmp_ok scalar keys %tried, '<=', 8, 'no more than one a second';
    $shim->clear;
    ok wait_for(10, sub { eval { request('GET', '/index.html')->{status} == 200 } }), 'and the server is back when threads are';
    well('at last');
}
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
