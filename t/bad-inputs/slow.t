# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Clients that send a byte now and then, and clients that never read (B31): while they are there all
# others are served, a parked poll's answer too, and in the end the server lets go of them.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use IO::Select ();
use JSON::PP ();
use My::DB qw(make_org quick);
use My::Finance qw(expense);
use My::Postgres;
use My::Server;
use Rt qw(answer ask caller_of event json_of publish request subscribe wait_for waiters);
use Socket qw(AF_INET SOCK_STREAM SOL_SOCKET SO_RCVBUF inet_aton pack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time);

use constant ORG => 9361;
my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;      # My::DB's
make_org(ORG);
# 500 rows of 3 KiB: more than sockets keep
quick(<<"SQL");
INSERT INTO transactions (org_id, property_id, type, category, description, notes, amount_cents, payment_mode, occurred_at, business_date, created_by)
SELECT @{[ORG]}, @{[ORG]} * 10 + 1, 'expense', 'food', repeat('d', 1000), repeat('n', 2000), 100, 'cash', now(), now()::date, @{[ORG]} * 10 + 1
FROM generate_series(1, 500)
SQL
my ($slow_head, $timeout) = (5, 2);
my $httpd = My::Server->new('slow', realtime => 1, dsn => $pg->host, lines => <<"CONF");
TenantProblem      On
FinanceEventDomain rt_a
FinancePoolMax     32
RequestReadTimeout header=$slow_head body=$slow_head
Timeout            $timeout
SendBufferSize     16384
RealtimeBufferSize 300
CONF
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

my $coder = JSON::PP->new->canonical->utf8;
my %owner = (Authorization => caller_of(org => ORG, user => ORG * 10 + 1));
my $head = "Host: localhost\r\nAuthorization: $owner{Authorization}\r\n";
my $keys = 0;

# What everybody else asks for meanwhile: how often it was not answered as ever
sub others {
    my ($name, $rounds) = @_;
    my @wrong;
    for my $round (1 .. $rounds) {
        my @res = (request('GET', '/index.html'), request('GET', '/v1/finance/expenses?limit=1', undef, %owner),
            request('POST', '/v1/finance/expenses', $coder->encode(expense(ORG * 10 + 1)), %owner,
                'Content-Type' => 'application/json', 'Idempotency-Key' => 'slow-' . ++$keys),
            publish('a', event(9362)), answer(Rt::poll('a', caller_of(org => 9362), 'wait=0&cursor=earliest')));
        my $statuses = join ' ', map { $_ ? $_->{status} : 0 } @res;
        push @wrong, $statuses if $statuses ne '200 200 201 202 200';
    }
    is_deeply \@wrong, [], "$name: others are served";
    return;
}

# A connection whose receiving side is as small as it gets
sub narrow {
    socket(my $socket, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, 4096 or die "setsockopt: $!";
    connect $socket, pack_sockaddr_in($httpd->port, inet_aton('127.0.0.1')) or die "connect: $!";
    return $socket;
}
sub say_to { my ($socket, $bytes) = @_; return syswrite $socket, $bytes }

# On how many the server has said or done something
sub stirred { my @ready = IO::Select->new(@_)->can_read(0); return scalar @ready }

# 1. Senders: a byte each 0.1 s, of heads and bodies; all slow ones together leave threads for others
my $body = $coder->encode(expense(ORG * 10 + 1));
my @begun = (
    ['head of a list',  "GET /v1/finance/expenses HTTP/1.1\r\n"],
    ['head of a poll',  "GET /rt/a/subscribe?wait=25 HTTP/1.1\r\n$head"],
    ['head of a write', "POST /v1/finance/expenses HTTP/1.1\r\n$head"],
    ['body of a write', "POST /v1/finance/expenses HTTP/1.1\r\n${head}Content-Type: application/json\r\nIdempotency-Key: never\r\nContent-Length: 5000\r\n\r\n"],
    ['body of a chunk', "POST /v1/finance/expenses HTTP/1.1\r\n${head}Content-Type: application/json\r\nIdempotency-Key: never\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n"],
    ['body of an event', "POST /rt/a/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"],
);
my @senders = map { my $one = $_; map { { name => $one->[0], socket => narrow(), bytes => $one->[1] } } 1 .. 2 } @begun;
say_to($_->{socket}, $_->{bytes}) for @senders;
my $drip = fork // die "fork: $!";
if (!$drip) {
    local $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    while (1) {
        syswrite $_->{socket}, 'x' for @senders;
        select undef, undef, undef, 0.1;
    }
}
END { kill TERM => $drip if $drip }
others('slow senders', 5);
is stirred(map { $_->{socket} } @senders), 0, 'slow senders: before one of them was given up';

# 2. Readers: lists, small answers without end, each asked for and none read
my $mark = -s $httpd->dir . '/access_log';
my @readers = map { narrow() } 1 .. 10;
for my $i (0 .. $#readers) {
    my $list = "GET /v1/finance/expenses?limit=500 HTTP/1.1\r\n$head\r\n";
    my $small = "POST /v1/finance/expenses HTTP/1.1\r\n${head}Content-Type: application/json\r\nIdempotency-Key: pipelined\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    say_to($readers[$i], $i % 2 ? $list : $small x 20 . $list);
}
ok wait_for(20, sub { stirred(@readers) == @readers }), 'slow readers: they are answered';
others('slow readers', 5);

# 3. Polls that are answered with 200 events of 1.2 KiB and never read, beside one that is
my $other = caller_of(org => ORG, user => ORG * 10 + 2);
my @polls = map { narrow() } 1 .. 4;
my $cursor = subscribe('a', $other, 'wait=0')->{cursor};
say_to($_, "GET /rt/a/subscribe?cursor=$cursor&wait=25&linger=300&limit=200 HTTP/1.1\r\n$head\r\n") for @polls;
ok wait_for(20, sub { waiters(ORG) == @polls }), 'polls that will not read are parked';
my $good = Rt::poll('a', $other, "cursor=$cursor&wait=25&linger=300&limit=200");
ok wait_for(20, sub { waiters(ORG) == @polls + 1 }), 'and one that will';
publish('a', [map { event(ORG, data => { n => $_, text => 'x' x 1200 }) } 1 .. 100]) for 1, 2;
my $got = answer($good, 20);
ok $got && @{ json_of($got)->{events} } > 0, 'it is answered while they are not';
ok wait_for(20, sub { waiters(ORG) == 0 }), 'they hold no place any more';
others('polls that do not read', 5);

# In the end the server gives them up: the senders are told
my @told;
for my $sender (@senders) {
    my $res = answer($sender->{socket}, 4 * $slow_head);
    push @told, "$sender->{name}: " . ($res ? $res->{status} : 'none') if !$res || $res->{status} != 408 || $res->{head} !~ m{application/problem\+json};
}
is_deeply \@told, [], 'slow senders: each is told 408';
kill TERM => $drip;
waitpid $drip, 0;
undef $drip;
close $_->{socket} for @senders;
is quick("SELECT count(*) FROM idempotency_keys WHERE key = 'never'"), 0, 'slow senders: nothing of theirs was done';

# and the readers are not, whatever there is left to send
sub given_up {
    my ($name, @sockets) = @_;
    my $whole = 0;
    my $end = time + 20;
    for my $socket (@sockets) {
        my ($bytes, $n) = ('', 1);
        while ($n && time < $end && IO::Select->new($socket)->can_read(10)) {
            $n = sysread $socket, $bytes, 65536, length $bytes;
        }
        my ($want) = $bytes =~ /\r\nContent-Length: (\d{5,})\r\n/;
        $whole++ if $n || !defined $want || length $bytes >= $want;
    }
    is $whole, 0, "$name: the rest was not kept for them";
    return;
}
# in the log stands who was answered or given up: a list of each, a poll of each
sub left {
    my @lines = My::Server::slurp($httpd->dir . '/access_log', $mark) =~ /(limit=(?:500|200) HTTP)/g;
    return @readers + @polls - @lines;
}
ok wait_for(20, sub { left() <= 0 }), 'those who do not read hold no thread any more' or diag left();
given_up('slow readers', @readers);
given_up('polls that do not read', @polls);

my ($status) = $httpd->stop;
is $status, 0, 'httpd stops cleanly';
done_testing;
