# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# All threads of the server wait for a locked table (F27): parked polls are woken by an event, and
# answered at their time, as ever, however they are parked.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Db qw($ORG ask_list lock_table recovers site unlock_table);
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use My::Log qw(expect_error);
use Rt qw(answer ask caller_of event json_of poll subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(time);

use constant { THREADS => 16, POLLS => 4 };
plan skip_all => 'of prefork a process is one thread, and no poll is answered by another' if ($ENV{TEST_MPM} // 'event') eq 'prefork';
my $org = 752;
sub token { return caller_of(org => $org) }

# An event, on its way: all of it but the last byte
sub publication {
    my $body = JSON::PP::encode_json(event($org, eventId => 'full'));
    my $socket = IO::Socket::INET->new(PeerAddr => $Rt::address, Timeout => 10) or die "connect: $!";
    my $last = chop $body;
    $socket->print("POST /rt/a/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        . (1 + length $body) . "\r\nExpect: 100-continue\r\n\r\n");
    $socket->flush;
    IO::Select->new($socket)->can_read(10) && sysread($socket, my $go_on, 4096) or die 'publication: not read';
    like $go_on, qr{^HTTP/1.1 100 }, 'a thread reads an event';
    $socket->print($body);
    $socket->flush;
    return ($socket, $last);
}

expect_error('AH00484|AH10159|AH00286');        # that all threads are busy
my $site = site('full');
my ($pg, $httpd) = @$site{qw(pg httpd)};
for my $way (($ENV{TEST_MPM} // 'event') eq 'event' ? qw(waitio owned condvar) : 'condvar') {
    $httpd->configure(realtime => 1, dsn => $pg->host, mpm => "StartServers 1\nServerLimit 2\nMaxRequestWorkers @{[THREADS]}\n"
        . "MinSpareThreads 1\nMaxSpareThreads @{[THREADS]}\nThreadsPerChild @{[THREADS]}\n",
        lines => "FinanceDeadline 20s\nFinancePoolMax 32\nRequestReadTimeout body=60\nRealtimePark $way\n");
    $httpd->stop;
    $httpd->start;
    recovers("$way: before");
    for my $round (1 .. 5) {
        $org++;
        my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
        my @polls = map { poll('a', token(), "wait=20&cursor=$cursor") } 1 .. POLLS;
        my $short = poll('a', caller_of(org => 751), 'wait=3');
        ok wait_for(10, sub { waiters($org) == POLLS && waiters(751) == 1 }), "$way, $round: polls are parked";
        my ($publication, $last) = publication();
        lock_table();
        my @lists = map { ask_list() } 1 .. THREADS;
        my $other = ask('GET', '/index.html');
        ok !answer($other, 1), "$way, $round: all threads are taken";
        my $began = time;
        # its thread goes on with a list, at once
        $publication->print("${last}GET /v1/finance/expenses?limit=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
            . caller_of(org => $ORG, user => $ORG * 10 + 1) . "\r\n\r\n");
        $publication->flush;
        my @said = map { json_of(answer($_, 10) // BAIL_OUT('a poll has no answer')) } @polls;
        cmp_ok time - $began, '<', 0.5 * My::Server::slowness(), "$way, $round: polls are woken at once";
        is scalar(grep { @{ $_->{events} } && $_->{events}[0]{eventId} eq 'full' } @said), POLLS, "$way, $round: with the event";
        my $res = answer($short, 10);
        ok $res && json_of($res)->{cursor}, "$way, $round: who waits for nothing has his answer when his time is there";
        ok !IO::Select->new(@lists)->can_read(0), "$way, $round: while the threads are still taken";
        unlock_table();
        is scalar(grep { (answer($_, 20) // { status => 0 })->{status} == 200 } @lists), THREADS, "$way, $round: then they are free";
    }
}
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
