# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Calls on sockets that are interrupted half of the time, and else do one byte half of the time (F33):
# the same bytes are on the wire as without, of polls that wait and that don't, of publications, lists
# and writes of the database, plain and over TLS, however polls are parked.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org quick);
use My::Finance qw(expense);
use My::Postgres;
use My::Server;
use My::Shim;
use Rt qw(answer ask caller_of event metrics poll subscribe wait_for waiters);
use Test::More;

plan skip_all => My::Shim::unfit() if My::Shim::unfit();
use constant ORG => 75;
my $coder = JSON::PP->new->canonical->utf8;
my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;      # My::DB's
make_org(ORG);
quick(<<"SQL");
INSERT INTO transactions (org_id, property_id, type, category, description, amount_cents, payment_mode, occurred_at, business_date, created_by)
SELECT @{[ORG]}, @{[ORG]} * 10 + 1, 'expense', 'food', repeat('d', n * 10), n, 'cash', now(), now()::date, @{[ORG]} * 10 + 1
FROM generate_series(1, 50) n
SQL
my $shim = My::Shim->new;
my ($httpd, $tls_port, $socket, $run) = (undef, undef, undef, 10);  # two digits, in all lengths

sub owner { return caller_of(org => ORG, user => ORG * 10 + 1) }
sub token { return caller_of(org => 7500 + $run) }

# What is another each time: the time, and what is made of it or of chance
sub essence {
    my $bytes = shift;
    $bytes =~ s/^(Date|X-Request-Id): [^\r]*/$1: /mig;
    $bytes =~ s/"cursor":"[^"]*"/"cursor":""/g;
    $bytes =~ s/"(ts|authExpiresIn|orgId)":\d+/"$1":0/g;
    $bytes =~ s/park;dur=\d+/park;dur=0/g;
    $bytes =~ s/"run\d+-/"run-/g;
    $bytes =~ s{"/requests/[^"]+"}{"/requests/"}g;
    return $bytes;
}

sub heard {
    my $res = answer($_[0], 60) // return 'no answer';
    return essence("$res->{head}\r\n$res->{body}");
}

# A request on the connection that there is
sub say_and_hear {
    my ($method, $target, $body, %headers) = @_;
    $headers{'Content-Length'} = length $body if defined $body;
    print $socket "$method $target HTTP/1.1\r\nHost: localhost\r\n", (map { "$_: $headers{$_}\r\n" } sort keys %headers), "\r\n", $body // '';
    $socket->flush;
    return heard($socket);
}

sub events {
    my ($name, $n, $size) = @_;
    return $coder->encode([map { event(7500 + $run, eventId => "run$run-$name-$_", data => { fill => 'x' x $size, n => $_ }) } 1 .. $n]);
}

sub published { return say_and_hear('POST', '/rt/a/publish', events(@_), 'Content-Type' => 'application/json') }

# A poll that waits for what comes next, with its publication: both answers
sub woken {
    my ($name, $n, $size, $query) = @_;
    my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
    my $poll = poll('a', token(), "wait=10&cursor=$cursor$query");
    wait_for(30, sub { waiters(7500 + $run) }) or return 'not parked';
    return (published($name, $n, $size), heard($poll));
}

sub over_tls {
    my ($target, $token, @more) = @_;
    my @curl = ('curl', '-sik', '--http1.1', '-m', 60, '-H', "Authorization: $token", map { "https://127.0.0.1:$tls_port$_" } $target, @more);
    open my $curl, '-|', @curl or die "curl: $!";
    local $/;
    return essence(scalar(<$curl>) // '');
}

# Everything that is compared: what it is, and its bytes
sub conversation {
    $run++;
    $socket = IO::Socket::INET->new(PeerAddr => $Rt::address, Timeout => 20) or die "connect: $!";
    my %auth = (Authorization => owner());
    my $write = $coder->encode(expense(ORG * 10 + 1, description => 'y' x 500));
    my @said = ('a publication', published('first', 3, 10));
    push @said, 'a page', say_and_hear('GET', '/index.html');
    push @said, 'a poll that finds something', say_and_hear('GET', '/rt/a/subscribe?wait=0&cursor=earliest', undef, Authorization => token());
    push @said, 'a list', say_and_hear('GET', '/v1/finance/expenses?limit=40', undef, %auth);
    push @said, 'a write, repeated', say_and_hear('POST', '/v1/finance/expenses', $write, %auth, 'Content-Type' => 'application/json',
        'Idempotency-Key' => 'short');
    my @pair = woken('one', 1, 2000, '');
    push @said, 'an event', $pair[0], 'a poll that it wakes', $pair[1];
    @pair = woken('many', 100, 700, '&limit=200&linger=300');
    push @said, 'a hundred events', $pair[0], 'a poll that gets more than a notifier writes', $pair[1];
    push @said, 'a long poll that finds all', say_and_hear('GET', '/rt/a/subscribe?wait=0&limit=200&cursor=earliest', undef, Authorization => token());
    push @said, 'a list over TLS', over_tls('/v1/finance/expenses?limit=40', owner());
    push @said, 'two polls over TLS', over_tls('/rt/a/subscribe?wait=0&limit=200&cursor=earliest', token(), '/rt/a/subscribe?wait=1&cursor=now');
    push @said, 'a write that is refused, which ends the connection', say_and_hear('POST', '/v1/finance/expenses', '{"propertyId":' . '1' x 300 . '}', %auth,
        'Content-Type' => 'application/json', 'Idempotency-Key' => 'refused');
    close $socket;
    return @said;
}

my $kind = $ENV{TEST_MPM} // 'event';
for my $way ($kind eq 'event' ? qw(waitio owned condvar) : 'condvar') {
    $tls_port = My::Server::free_port();
    $httpd = My::Server->new("short_$way", realtime => 1);
    $httpd->configure(realtime => 1, dsn => $pg->host, lines => <<"CONF" . $httpd->tls($tls_port));
RealtimePark $way
FinanceDeadline 30s
FinancePoolWait 30s
FinanceEventDomain rt_a
KeepAliveTimeout 60
CONF
    $httpd->start(env => $shim->env);
    $Rt::address = '127.0.0.1:' . $httpd->port;

    conversation();     # what is made once is made: the write, connections to the database
    my @golden = conversation();
    unlike join('', @golden), qr/no answer|not parked| 50\d /, "$way: all is answered";
    is_deeply [conversation()], \@golden, "$way: and the same each time";
    my %half = (error => 'EINTR', chance => 0.5, short => 0.5);
    $shim->set(read => \%half, write => \%half, map { $_ => { error => 'EINTR', chance => 0.5 } } qw(accept poll epoll));
    for my $round (1 .. 3) {
        my @said = conversation();
        for (my $i = 0; $i < @golden; $i += 2) {
            is $said[$i + 1], $golden[$i + 1], "$way, $round: $golden[$i]: the same bytes";
        }
    }
    cmp_ok $shim->hits($_), '>', { read => 300, write => 300, accept => 5, poll => 20, epoll => 20 }->{$_}, "$way: calls were cut short: $_"
        for qw(read write accept poll), $kind eq 'event' ? 'epoll' : ();
    $shim->clear;
    ok wait_for(10, sub { metrics('a', caller_of(org => 7500, role => 'admin'))->{totals}{parked} == 0 }), "$way: nobody waits";
    is(($httpd->stop)[0], 0, "$way: the server ends");
    unlike $httpd->errors, qr/:(?:warn|error|crit|alert|emerg)\]|exit signal/, "$way: its log has nothing to say";
}
done_testing;
