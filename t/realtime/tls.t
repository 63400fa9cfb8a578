# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Polls over TLS, two on a connection: the server hears nothing of the second before it has written
# the first's answer, and what is read for TLS's own sake is no request. A client that says goodbye in
# TLS alone is gone. However polls are parked.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use My::Server;
use POSIX ();
use Rt qw(caller_of event metrics publish subscribe wait_for waiters);
use Test::More;

# Passes one connection on to a port. When the client ends it, the server does not hear of that:
# only what was said in TLS has come through. Returns its port and what ends it.
sub deaf_relay {
    my $to = shift;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        alarm 120;      # a test that dies takes it along
        my $client = $listen->accept;
        my $server = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$to") or POSIX::_exit(1);
        my $both = IO::Select->new($client, $server);
        while (my @ready = $both->can_read) {
            for my $from (@ready) {
                my $n = sysread $from, my $bytes, 65536;
                if (!$n) { $both->remove($from); next }
                my $other = $from == $client ? $server : $client;
                local $SIG{PIPE} = 'IGNORE';
                syswrite $other, $bytes;
            }
        }
        sleep;          # until it is ended: the server's socket stays open
    }
    return ($listen->sockport, sub { kill KILL => $pid; waitpid $pid, 0 });
}

for my $way (($ENV{TEST_MPM} // 'event') eq 'event' ? qw(waitio owned condvar) : 'condvar') {
    my $tls_port = My::Server::free_port();
    my $httpd = My::Server->new("tls_$way", realtime => 1);
    $httpd->configure(realtime => 1, lines => "RealtimePark $way\n" . $httpd->tls($tls_port));
    $httpd->start(env => My::Server::without_leak_check());
    $Rt::address = '127.0.0.1:' . $httpd->port;

    for my $version (qw(1.2 1.3)) {
        my $org = 400 + 10 * $version;
        my $token = caller_of(org => $org);
        my $totals = sub { metrics('a', caller_of(org => $org, role => 'admin'))->{totals} };
        my $cursor = subscribe('a', $token, 'wait=0')->{cursor};
        my $before = $totals->()->{polls};
        my $url = "https://127.0.0.1:$tls_port/rt/a/subscribe?wait=15&cursor=$cursor";
        open my $curl, '-|', 'curl', '-sk', '--http1.1', "--tlsv$version", '--tls-max', $version, '-m', 20,
            '-w', ' connects=%{num_connects}', '-H', "Authorization: $token", $url, "$url&types=second.*" or die "curl: $!";
        ok wait_for(10, sub { waiters($org) == 1 }), "$way, TLS $version: a poll is parked";
        publish('a', event($org, eventId => 'tls1'));
        # the second poll wants another type of event, and finds none
        ok wait_for(10, sub { $totals->()->{polls} >= $before + 2 && waiters($org) == 1 }), 'and the next one on its connection';
        publish('a', event($org, eventId => 'tls2', type => 'second.one'));
        my $all = do { local $/; <$curl> };
        close $curl;
        like $all, qr/"tls1".*connects=1.*"tls2".*connects=0/s, 'each is woken';
        ok wait_for(3, sub { !waiters($org) }), 'and forgotten';

        # close_notify, and nothing of TCP's
        my ($port, $end) = deaf_relay($tls_port);
        my $gone = $totals->()->{gone};
        my $name = 'tls' . $version =~ tr/./_/r;
        open my $client, '|-', "openssl s_client -quiet -no_ign_eof -$name -connect 127.0.0.1:$port >@{[$httpd->dir]}/s_client 2>&1"
            or die "s_client: $!";
        print $client "GET /rt/a/subscribe?wait=20 HTTP/1.1\r\nHost: localhost\r\nAuthorization: $token\r\n\r\n";
        $client->flush;
        ok wait_for(10, sub { waiters($org) == 1 }), 'a poll is parked';
        close $client;      # the end of its input, at which it says goodbye
        ok wait_for(5, sub { !waiters($org) && $totals->()->{gone} == $gone + 1 }), 'a client that ends TLS alone is gone';
        $end->();
    }
    is(($httpd->stop('WINCH'))[0], 0, 'the server ends');
}
done_testing;
