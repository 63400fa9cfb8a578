# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A parked poll's connection, whichever way it is parked: kept alive, pipelined, half closed, read
# slowly, shared (HTTP/2), shorter-lived than the poll, and ended by the server.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use My::Server;
use Rt qw(answer caller_of event json_of metrics poll publish request subscribe wait_for waiters);
use Socket qw(SHUT_WR SOL_SOCKET SO_RCVBUF);
use Test::More;
use Time::HiRes ();

my $event = ($ENV{TEST_MPM} // 'event') eq 'event';
my $httpd = My::Server->new('connections', realtime => 1, lines => <<"CONF");
KeepAliveTimeout 2
RequestReadTimeout header=2-4,MinRate=500
RealtimeBufferMemory 64M
<IfModule !mpm_prefork_module>
    Protocols h2c http/1.1
</IfModule>
CONF
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

my $org = 300;
sub token { return caller_of(org => $org) }
sub at { return subscribe('a', token(), 'wait=0')->{cursor} }
sub parked { return metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{parked} }
sub ids { return join ' ', map { $_->{eventId} } @{ shift->{events} } }
sub line { return "GET /rt/a/subscribe?$_[0] HTTP/1.1\r\nHost: localhost\r\nAuthorization: " . token() . "\r\n\r\n" }

# one connection, many polls
my $cursor = at();
my $socket = poll('a', token(), "wait=20&cursor=$cursor");
for my $n (1 .. 20) {
    wait_for(5, sub { waiters($org) }) or BAIL_OUT("poll $n is not parked");
    publish('a', event($org, eventId => "k$n"));
    my $said = json_of(answer($socket) // BAIL_OUT("poll $n has no answer"));
    ids($said) eq "k$n" or BAIL_OUT("poll $n says " . ids($said));
    print $socket line("wait=20&cursor=$said->{cursor}");
    $socket->flush;
}
pass 'twenty polls on one connection, each parked and woken';
ok wait_for(5, sub { waiters($org) }), 'and one more';
close $socket;
ok wait_for(3, sub { !waiters($org) && !parked() }), 'it is forgotten within a second or two of its end';

# a client that pauses longer than KeepAliveTimeout between two polls, with mod_reqtimeout on
$socket = poll('a', token(), 'wait=0');
ok answer($socket), 'an answer';
print $socket line('wait=1&cursor=now');
$socket->flush;
cmp_ok answer($socket)->{took}, '>', 0.8, 'and a poll behind it is parked';

# pipelined
$org++;
$socket = poll('a', token(), 'wait=0');
print $socket line('wait=0') x 9;
$socket->flush;
my $text = '';
wait_for(10, sub {
    sysread $socket, $text, 65536, length $text if IO::Select->new($socket)->can_read(0.1);
    return 10 <= (() = $text =~ m{HTTP/1\.1 200 OK\r\n}g);
});
is scalar(() = $text =~ m{HTTP/1\.1 200 OK\r\n}g), 10, 'ten pipelined polls that do not wait get ten answers';
$socket = poll('a', token(), 'wait=2');
print $socket "GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
$socket->flush;
my $all = do { local $/; local $SIG{ALRM} = sub { die 'pipelined: no end' }; alarm 20; my $t = <$socket>; alarm 0; $t };
is scalar(() = $all =~ m{HTTP/1\.1 200 OK\r\n}g), 2, 'a request behind a waiting poll is answered, after the poll';
like $all, qr/"events":\[\].*HTTP\/1\.1 200 OK/s, 'in that order';

# the client closes its sending half: it is gone
$org++;
$socket = poll('a', token(), 'wait=25');
ok wait_for(5, sub { waiters($org) }), 'a poll is parked';
shutdown $socket, SHUT_WR;
ok wait_for(3, sub { !waiters($org) && !parked() }), 'a half-closed connection is a client that left';

# answers longer than the socket takes, to a client that does not read
$org++;
my $big = 'x' x 60_000;
$cursor = at();
$socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack('i', 4096) or die "SO_RCVBUF: $!";
connect $socket, Socket::pack_sockaddr_in($httpd->port, Socket::inet_aton('127.0.0.1')) or die "connect: $!";
syswrite $socket, line("wait=20&linger=1000&cursor=$cursor");
ok wait_for(5, sub { waiters($org) }), 'a slow reader is parked';
my $other = poll('a', token(), "wait=20&cursor=$cursor");
ok wait_for(5, sub { waiters($org) == 2 }), 'beside another poll';
publish('a', event($org, eventId => "big$_", data => { fill => $big })) for 1 .. 4;
my $quick = answer($other, 10);
ok $quick, 'the slow one delays no other';
Time::HiRes::sleep(2);      # what it would take to fill its window, and the time to linger
$text = '';
wait_for(20, sub {
    return 0 unless IO::Select->new($socket)->can_read(0.2);
    my $n = sysread $socket, $text, 65536, length $text;
    return !$n || $text =~ /"degraded":false\}$/;
});
is scalar(() = $text =~ /"eventId":"big\d"/g), 4, 'and gets all of its 240 KB, once it reads';
like $text, qr/"degraded":false\}$/, 'to the last byte';
ok wait_for(3, sub { !waiters($org) && !parked() }), 'nothing stays behind';

# HTTP/2: streams share a connection, so each holds a thread
SKIP: {
    skip 'prefork has no HTTP/2', 3 if ($ENV{TEST_MPM} // '') eq 'prefork';
    $org++;
    my $token = token();
    $cursor = at();
    my @curls = map {
        open my $fh, '-|', 'curl', '-s', '--http2-prior-knowledge', '-m', 20, '-H', "Authorization: $token",
            "http://$Rt::address/rt/a/subscribe?wait=15&cursor=$cursor" or die "curl: $!";
        $fh;
    } 1 .. 3;
    ok wait_for(10, sub { waiters($org) == 3 }), 'polls over HTTP/2 are parked';
    publish('a', event($org, eventId => 'h2'));
    is scalar(grep { /"h2"/ } map { local $/; scalar <$_> } @curls), 3, 'and woken';
    ok wait_for(3, sub { !waiters($org) && !parked() }), 'and forgotten';
}

# Timeout shorter than the poll: it is answered before the server would close it
$httpd->configure(realtime => 1, lines => "Timeout 4\n");
$httpd->graceful;
$org++;
at();       # the new children are up
my $short = answer(poll('a', token(), 'wait=20'), 15);
if ($event) {
    ok $short, 'a poll that may last longer than Timeout has an answer';
    cmp_ok $short->{took}, '<', 4.5, 'before that';
}
$socket = poll('a', token(), 'wait=0');
answer($socket);
ok wait_for(12, sub { IO::Select->new($socket)->can_read(0) && !sysread $socket, $text, 1 }), 'a client that sends nothing more is closed';

# the server ends while connections are parked, answered, idle
for my $signal (qw(WINCH TERM)) {
    my @idle = map { my $s = poll('a', token(), 'wait=0'); answer($s); $s } 1 .. 3;
    my @parked = map { poll('a', token(), 'wait=3') } 1 .. 3;
    ok wait_for(5, sub { waiters($org) == 3 }), "SIG$signal: polls are parked, and connections between two polls";
    my ($status, $took) = $httpd->stop($signal);
    is $status, 0, 'the server ends';
    # worker and prefork let their threads wait for KeepAliveTimeout
    cmp_ok $took, '<', $event ? 5 : 12, 'in time';
    if ($signal eq 'WINCH') {
        is scalar(grep { $_ && json_of($_)->{drain} } map { answer($_, 5) } @parked), 3, 'its polls were answered';
        $httpd->start;
    }
}
done_testing;
