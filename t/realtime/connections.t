# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A parked poll's connection, whichever way it is parked: kept alive, pipelined, half closed, read
# slowly, left in each phase, shared (HTTP/2), shorter-lived than the poll, and ended by the server.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use My::Log qw(expect_error);
use My::Server;
use Rt qw(answer ask caller_of event ids json_of metrics poll publish request say_on subscribe wait_for waiters);
use Socket qw(SHUT_WR SOL_SOCKET SO_LINGER SO_RCVBUF);
use Test::More;
use Time::HiRes ();

my $kind = $ENV{TEST_MPM} // 'event';
my $org = 300;
my $httpd;

sub token { return caller_of(org => $org) }
sub at { return subscribe('a', token(), 'wait=0')->{cursor} }
sub totals { return metrics('a', caller_of(org => $org, role => 'admin'))->{totals} }
sub parked { return totals()->{parked} }
sub line { return "GET /rt/a/subscribe?$_[0] HTTP/1.1\r\nHost: localhost\r\nAuthorization: " . token() . "\r\n\r\n" }
sub forgotten { return wait_for(5, sub { !waiters($org) && !parked() }) }

# The connection ends by RST, whatever is on its way.
sub reset_of {
    my $socket = shift;
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $socket;
    return;
}

sub kept_alive {
    my $cursor = at();
    my $socket = poll('a', token(), "wait=20&cursor=$cursor");
    for my $n (1 .. 20) {
        wait_for(5, sub { waiters($org) }) or BAIL_OUT("poll $n is not parked");
        publish('a', event($org, eventId => "k$n"));
        my $said = json_of(answer($socket) // BAIL_OUT("poll $n has no answer"));
        ids($said) eq "k$n" or BAIL_OUT("poll $n says " . ids($said));
        say_on($socket, line("wait=20&cursor=$said->{cursor}"));
    }
    pass 'twenty polls on one connection, each parked and woken';
    ok wait_for(5, sub { waiters($org) }), 'and one more';
    close $socket;
    ok forgotten(), 'it is forgotten within a second or two of its end';

    $socket = poll('a', token(), 'wait=0');
    ok answer($socket), 'an answer';
    say_on($socket, line('wait=1&cursor=now'));
    cmp_ok answer($socket)->{took}, '>', 0.8, 'and a poll behind it is parked';
    return;
}

# mod_reqtimeout: a parked poll is not a body that does not come, and a request that comes slowly is
# still one
sub read_timeouts {
    my $socket = poll('a', token(), 'wait=3');
    cmp_ok answer($socket)->{took}, '>', 2.5, 'a poll is parked for longer than a body may take to come';
    say_on($socket, line('wait=3'));
    my $next = answer($socket);
    ok $next, 'and so is the next on its connection';
    say_on($socket, substr line('wait=0'), 0, 40);
    my $began = Time::HiRes::time();
    my $rest = '';
    wait_for(20, sub { IO::Select->new($socket)->can_read(0) && !sysread $socket, $rest, 65536, length $rest });
    cmp_ok Time::HiRes::time() - $began, '<', 12, 'a request that stops in its head is ended';
    unlike $rest, qr/200 OK/, 'without the answer to a poll';
    return;
}

sub pipelined {
    $org++;
    my $read = sub {
        my ($socket, $count) = @_;
        my $text = '';
        wait_for(30, sub {
            sysread $socket, $text, 65536, length $text if IO::Select->new($socket)->can_read(0.1);
            return $count <= (() = $text =~ /"degraded":false\}/g);
        });
        return $text;
    };
    my $socket = poll('a', token(), 'wait=0');
    say_on($socket, line('wait=0') x 9);
    is scalar(() = $read->($socket, 10) =~ m{HTTP/1\.1 200 OK\r\n}g), 10, 'ten pipelined polls that do not wait get ten answers';

    # the same poll a hundred times: who has more to say does not wait
    my $cursor = at();
    $socket = say_on(poll('a', token(), "wait=20&cursor=$cursor"), line("wait=20&cursor=$cursor") x 99);
    my $text = $read->($socket, 99);
    is scalar(() = $text =~ /"retryMs":[2-5]\d{3},/g), 99, 'of a hundred pipelined polls all but the last are sent away';
    ok wait_for(5, sub { waiters($org) == 1 && parked() == 1 }), 'and the last is parked';
    publish('a', event($org, eventId => 'p100'));
    like $read->($socket, 1), qr/"p100"/, 'and woken';
    close $socket;
    ok forgotten(), 'none stays behind';

    $socket = poll('a', token(), 'wait=2');
    say_on($socket, "GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    my $all = do { local $/; local $SIG{ALRM} = sub { die 'pipelined: no end' }; alarm 20; my $t = <$socket>; alarm 0; $t };
    is scalar(() = $all =~ m{HTTP/1\.1 200 OK\r\n}g), 2, 'a request behind a waiting poll is answered, after the poll';
    like $all, qr/"events":\[\].*HTTP\/1\.1 200 OK/s, 'in that order';
    return;
}

# a poll's body is read before it waits: what is in it is no request, and is not answered
sub bodied {
    $org++;
    my $inner = "GET /index.html HTTP/1.1\r\nHost: inner\r\n\r\n";
    my $n = 0;
    my $chunk = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $inner, $inner;
    for my $case (['Content-Length: ' . length $inner, $inner], ['Transfer-Encoding: chunked', $chunk]) {
        my ($header, $body) = @$case;
        for my $late (0, 1) {
            my $cursor = at();
            my $socket = poll('a', token(), 'wait=0');
            answer($socket);
            my $head = line("wait=20&cursor=$cursor") =~ s/\r\n\r\n/\r\n$header\r\n\r\n/r;
            say_on($socket, $head . ($late ? '' : $body));
            Time::HiRes::sleep(0.2) if $late;       # a worker waits for it by then, or soon
            say_on($socket, $body) if $late;
            ok wait_for(5, sub { waiters($org) }), "$header: a poll with a body is parked";
            publish('a', event($org, eventId => 'bodied' . ++$n));
            my $woken = answer($socket);
            is ids(json_of($woken)), "bodied$n", 'and woken';
            say_on($socket, line('wait=0&cursor=earliest'));
            my $next = answer($socket);
            like $next->{body}, qr/"events":\[/, 'and what is answered behind it is the next poll';
            ok !IO::Select->new($socket)->can_read(0.1), 'and no more';
        }
    }
    return;
}

# the client closes its sending half: it is gone
sub half_closed {
    $org++;
    my $gone = totals()->{gone};
    my $socket = poll('a', token(), 'wait=25');
    ok wait_for(5, sub { waiters($org) }), 'a poll is parked';
    shutdown $socket, SHUT_WR;
    ok forgotten(), 'a half-closed connection is a client that left';
    ok wait_for(5, sub { totals()->{gone} == $gone + 1 }), 'and is counted as one';
    return;
}

# answers longer than the socket takes, to a client that does not read
sub read_slowly {
    $org++;
    my $big = 'x' x 60_000;
    my $cursor = at();
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack('i', 4096) or die "SO_RCVBUF: $!";
    connect $socket, Socket::pack_sockaddr_in($httpd->port, Socket::inet_aton('127.0.0.1')) or die "connect: $!";
    syswrite $socket, line("wait=20&linger=1000&cursor=$cursor");
    ok wait_for(5, sub { waiters($org) }), 'a slow reader is parked';
    my $other = poll('a', token(), "wait=20&cursor=$cursor");
    ok wait_for(5, sub { waiters($org) == 2 }), 'beside another poll';
    publish('a', event($org, eventId => "big$_", data => { fill => $big })) for 1 .. 4;
    ok answer($other, 10), 'the slow one delays no other';
    Time::HiRes::sleep(2);      # what it would take to fill its window, and the time to linger
    my $text = '';
    wait_for(20, sub {
        return 0 unless IO::Select->new($socket)->can_read(0.2);
        my $n = sysread $socket, $text, 65536, length $text;
        return !$n || $text =~ /"degraded":false\}$/;
    });
    is scalar(() = $text =~ /"eventId":"big\d"/g), 4, 'and gets all of its 240 KB, once it reads';
    like $text, qr/"degraded":false\}$/, 'to the last byte';
    ok forgotten(), 'nothing stays behind';
    return;
}

# B34: the client leaves before it is parked, and in the instant in which its event is published
sub left_at_once {
    $org++;
    for (1 .. 40) {
        my $socket = poll('a', token(), 'wait=25');
        $_ % 2 ? close $socket : reset_of($socket);
    }
    ok forgotten(), 'forty clients leave as soon as they have asked, and nobody waits';

    my ($cursor, $told, $missed) = (at(), 0, 0);
    for my $n (1 .. 40) {
        my $socket = poll('a', token(), "wait=20&cursor=$cursor");
        wait_for(5, sub { waiters($org) >= 1 }) or BAIL_OUT('not parked');
        my $body = '{"orgId":' . $org . ',"type":"expense.created","eventId":"i' . $n . '","data":{}}';
        my @head = ('POST', '/rt/a/publish', $body, 'Content-Type' => 'application/json');
        if ($n % 4 < 2) {
            my $publisher = ask(@head);
            $n % 2 ? close $socket : reset_of($socket);
            answer($publisher)->{status} == 202 or BAIL_OUT('not published');
        }
        else {
            $n % 2 ? close $socket : reset_of($socket);
            request(@head)->{status} == 202 or BAIL_OUT('not published');
        }
        my $said = subscribe('a', token(), "wait=20&cursor=$cursor");
        $missed++ if ids($said) ne "i$n";
        $told++;
        $cursor = $said->{cursor};
    }
    is $told, 40, 'an event is published in the instant in which its poll ends, forty times';
    is $missed, 0, 'and the next poll by cursor has each';
    ok forgotten(), 'nobody waits any more';
    return;
}

# B32, F30: connections that are opened and left in any phase
sub churned {
    $org++;
    my $cursor = at();
    my @leave = (
        sub { },                                                                            # nothing said
        sub { say_on($_[0], substr line('wait=25'), 0, 30) },                               # in the middle of the head
        sub { say_on($_[0], line('wait=25')) },                                             # before it is parked
        sub { say_on($_[0], line('wait=25')); Time::HiRes::sleep(0.01) },                   # while it is being parked
        sub { say_on($_[0], line("wait=25&cursor=$cursor") x 2) },                          # two polls
        sub { say_on($_[0], line('wait=0')); answer($_[0]) },                               # answered
        sub { say_on($_[0], line('wait=0')); answer($_[0]); say_on($_[0], line('wait=25')) },
        sub { say_on($_[0], line('wait=25')); shutdown $_[0], SHUT_WR },                    # half closed
        sub { say_on($_[0], line('wait=x')); answer($_[0]) },                               # refused
        sub { say_on($_[0], line('wait=25') . 'GET /x') },                                  # a part of the next
    );
    my @open;
    for my $n (1 .. 300) {
        my $socket = IO::Socket::INET->new(PeerAddr => $Rt::address, Timeout => 20) or BAIL_OUT("connect: $!");
        $leave[$n % @leave]->($socket);
        # each phase ends at once, or later, by FIN or by RST
        push @open, $socket;
        my $ended = $n % 3 ? pop @open : @open > 5 ? shift @open : next;
        $n / @leave % 2 ? close $ended : reset_of($ended);
        publish('a', event($org, eventId => "c$n")) if $n % 50 == 0;
    }
    close $_ for @open;
    ok wait_for(20, sub { !waiters($org) && !parked() }), '300 connections come and go in every phase, and nobody waits';
    my $now = totals();
    is_deeply [map { $_->{waitio} + $_->{condvar} } @{ $now->{children} }], [(0) x @{ $now->{children} }], 'in no child';
    my $socket = poll('a', token(), 'wait=20');
    ok wait_for(5, sub { waiters($org) == 1 }), 'the next poll is parked';
    publish('a', event($org, eventId => 'last'));
    is ids(json_of(answer($socket))), 'last', 'and woken';
    close $socket;
    return;
}

# HTTP/2: streams share a connection, so each holds a thread
sub streams {
    return if $kind eq 'prefork';
    $org++;
    my $token = token();
    my $cursor = at();
    my @curls = map {
        open my $fh, '-|', 'curl', '-s', '--http2-prior-knowledge', '-m', 20, '-H', "Authorization: $token",
            "http://$Rt::address/rt/a/subscribe?wait=15&cursor=$cursor" or die "curl: $!";
        $fh;
    } 1 .. 3;
    ok wait_for(10, sub { waiters($org) == 3 }), 'polls over HTTP/2 are parked';
    publish('a', event($org, eventId => 'h2'));
    is scalar(grep { /"h2"/ } map { local $/; scalar <$_> } @curls), 3, 'and woken';
    ok forgotten(), 'and forgotten';

    my $pid = open my $fh, '-|', 'curl', '-s', '--http2-prior-knowledge', '-m', 20, '-H', "Authorization: $token",
        "http://$Rt::address/rt/a/subscribe?wait=15" or die "curl: $!";
    ok wait_for(10, sub { waiters($org) == 1 }), 'one more';
    kill KILL => $pid;
    close $fh;
    ok forgotten(), 'whose client is killed: it is forgotten';
    return;
}

# Each poll is answered with drain, and the old children are gone in time (F04); HUP may cut them off
sub reloaded {
    my ($way, $many) = @_;
    for my $round (1 .. 3) {
        $org++;
        my $cursor = at();
        publish('a', event($org, eventId => "kept$round"));
        my $behind = at();
        my @polls = map { poll('a', token(), "wait=25&cursor=$behind") } 1 .. $many;
        ok wait_for(20, sub { waiters($org) == $many }), "$round: $many polls are parked";
        my @old = $httpd->children;
        my $began = Time::HiRes::time();
        $httpd->graceful;
        my @said = map { my $res = answer($_, 10); $res && $res->{status} == 200 ? json_of($res) : () } @polls;
        is scalar(grep { $_->{drain} && !@{ $_->{events} } && !$_->{gap} } @said), $many, 'a graceful restart answers each, with drain';
        close $_ for @polls;
        ok wait_for(15 * My::Server::slowness(), sub { !grep { kill 0, $_ } @old }), 'the old children end';
        # worker and prefork let their threads wait for KeepAliveTimeout
        cmp_ok Time::HiRes::time() - $began, '<', ($kind eq 'event' ? 8 : 15) * My::Server::slowness(), 'in time';
        is ids(subscribe('a', token(), "wait=0&cursor=$cursor")), "kept$round", 'what was published before is there';
        ok forgotten(), 'nobody waits';
    }
    $org++;
    my $cursor = at();
    my @polls = map { poll('a', token(), "wait=25&cursor=$cursor") } 1 .. 6;
    ok wait_for(10, sub { waiters($org) == 6 }), 'six polls are parked';
    my @old = $httpd->children;
    $httpd->restart;
    my @ends = grep { my $poll = $_; wait_for(5, sub { IO::Select->new($poll)->can_read(0) }) } @polls;
    is scalar @ends, 6, 'a restart ends each';
    ok wait_for(10, sub { !grep { kill 0, $_ } @old }), 'with its child';
    publish('a', event($org, eventId => 'behind'));
    is ids(subscribe('a', token(), "wait=5&cursor=$cursor")), 'behind', 'and its cursor goes on';
    ok forgotten(), 'nobody waits';
    return;
}

# Timeout shorter than the poll: it is answered before the server would close it
sub timed_out {
    my $way = shift;
    my %site = site($way);
    $httpd->configure(%site, lines => "Timeout 4\n$site{lines}");
    $httpd->graceful;
    $org++;
    at();       # the new children are up
    if ($way eq 'waitio') {
        my $short = answer(poll('a', token(), 'wait=20'), 15);
        ok $short, 'a poll that may last longer than Timeout has an answer';
        cmp_ok $short->{took}, '<', 4.5, 'before that';
    }
    my $socket = poll('a', token(), 'wait=0');
    answer($socket);
    my $text;
    ok wait_for(12, sub { IO::Select->new($socket)->can_read(0) && !sysread $socket, $text, 1 }), 'a client that sends nothing more is closed';
    return;
}

# the server ends while connections are parked, answered, idle
sub ended {
    for my $signal (qw(WINCH TERM)) {
        my @idle = map { my $s = poll('a', token(), 'wait=0'); answer($s); $s } 1 .. 3;
        my @parked = map { poll('a', token(), 'wait=3') } 1 .. 3;
        ok wait_for(5, sub { waiters($org) == 3 }), "SIG$signal: polls are parked, and connections between two polls";
        my ($status, $took) = $httpd->stop($signal);
        is $status, 0, 'the server ends';
        # worker and prefork let their threads wait for KeepAliveTimeout
        cmp_ok $took, '<', $kind eq 'event' ? 5 : 12, 'in time';
        if ($signal eq 'WINCH') {
            is scalar(grep { $_ && json_of($_)->{drain} } map { answer($_, 5) } @parked), 3, 'its polls were answered';
            $httpd->start;
        }
    }
    return;
}

sub site {
    my $way = shift;
    return (realtime => 1, lines => <<"CONF");
KeepAliveTimeout 2
MaxKeepAliveRequests 0
RequestReadTimeout header=2-4,MinRate=500 body=1
RealtimeBufferMemory 64M
RealtimePark $way
<IfModule mpm_event_module>
    AsyncRequestWorkerFactor 20
</IfModule>
<IfModule !mpm_prefork_module>
    Protocols h2c http/1.1
</IfModule>
CONF
}

expect_error('AH00484', 'AH10159');      # the churn takes all threads for a moment, and is said so
for my $way ($kind eq 'event' ? qw(waitio owned condvar) : 'condvar') {
    $org += 10;
    $httpd = My::Server->new("connections_$way", site($way));
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    my @parts = (kept_alive => \&kept_alive, read_timeouts => \&read_timeouts, pipelined => \&pipelined, bodied => \&bodied, half_closed => \&half_closed,
        read_slowly => \&read_slowly, left_at_once => \&left_at_once, churned => \&churned, streams => \&streams,
        reloaded => sub { reloaded($way, $way ne 'condvar' ? 100 : 8) }, timed_out => sub { timed_out($way) }, ended => \&ended);
    while (my ($name, $part) = splice @parts, 0, 2) {
        note "$way: $name";
        $part->();
    }
}
done_testing;
