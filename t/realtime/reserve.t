# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Polls, and the connections of clients that pause between two, never take what other requests need:
# connections, threads, descriptors. When descriptors run out all the same, the server comes back.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use My::Log qw(expect_error expect_warn);
use My::Server;
use Rt qw(answer ask caller_of event ids json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(time);

my $kind = $ENV{TEST_MPM} // 'event';
my $org = 310;
sub token { return caller_of(org => $org) }
sub parked { return metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{parked} }

# One child of so many threads
sub mpm {
    my ($threads, $more) = @_;
    return "StartServers 1\nMaxRequestWorkers $threads\n<IfModule !mpm_prefork_module>\nMinSpareThreads 1\n"
        . "MaxSpareThreads $threads\nThreadsPerChild $threads\n</IfModule>\n" . ($more // '');
}

# Whether a request that is no poll is answered, and how soon.
sub other_within {
    my ($seconds, $what) = @_;
    my $began = time;
    my $res = answer(ask('GET', '/index.html', undef, Connection => 'close'), $seconds);
    ok $res && $res->{status} == 200, "$what: another request is answered" or return;
    cmp_ok time - $began, '<', $seconds, "within $seconds s";
    return;
}

# connections: 4 threads, 12 connections, of which 8 are for polls
for my $way ($kind eq 'event' ? qw(waitio owned) : ()) {
    $org++;
    my $httpd = My::Server->new("reserve_$way", realtime => 1, mpm => mpm(4, "ServerLimit 2\nAsyncRequestWorkerFactor 2\n"),
        lines => "RealtimePark $way\nKeepAliveTimeout 1\nTimeout 60\n<VirtualHost *>\nServerName localhost\n</VirtualHost>\n"
            . "<VirtualHost *>\nServerName hasty.test\nTimeout 4\n</VirtualHost>\n");
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    my @idle = map { my $s = poll('a', token(), 'wait=0'); answer($s) or die "poll $_: no answer"; $s } 1 .. 12;
    other_within(20, 'twelve clients pause between two polls');
    my $kept = sub { scalar grep { !IO::Select->new($_)->can_read(0) } @idle };
    wait_for(20, sub { $kept->() <= 8 });       # the others for KeepAliveTimeout
    is $kept->(), 8, 'eight keep their connection for their next poll';
    close $_ for @idle;
    ok wait_for(10, sub { parked() == 0 }), 'they leave';

    my @polls = map { poll('a', token(), 'wait=20') } 1 .. 11;
    ok wait_for(10, sub { parked() == 8 }), 'eleven clients poll: eight are parked';
    other_within(5, 'all places are taken');
    my @paced = grep { IO::Select->new($_)->can_read(1) } @polls;
    is scalar(grep { $_->{retryMs} >= 2000 } map { json_of(answer($_)) } @paced), 3, 'the rest is told to come back';
    close $_ for @polls;
    ok wait_for(5, sub { parked() == 0 }), 'none stays behind';
    my $again = poll('a', token(), 'wait=20');
    ok wait_for(5, sub { parked() == 1 }), 'and their places are free';
    publish('a', event($org, eventId => 'free'));
    is ids(json_of(answer($again))), 'free', 'for polls that are woken';

    # the MPM's time-out for a parked connection is that of the host that was asked for
    if ($way eq 'waitio') {
        my $res = answer(ask('GET', '/rt/a/subscribe?wait=20', undef, Authorization => token(), Host => 'hasty.test'), 15);
        ok $res, 'a poll of a host whose Timeout is short has an answer';
        cmp_ok $res->{took}, '<', 4.5, 'before that';
    }
    is(($httpd->stop)[0], 0, 'the server ends');
}

# threads: polls over HTTP/2 hold one each of the MPM's and of mod_http2's, whatever way HTTP/1.1 is parked
for my $case ($kind eq 'prefork' ? () : (['12 threads', '', 8], ['6 threads of mod_http2', "H2MinWorkers 1\nH2MaxWorkers 6\n", 4])) {
    my ($what, $lines, $most) = @$case;
    $org++;
    my $httpd = My::Server->new("reserve_$most", realtime => 1, mpm => mpm(12), lines => "Protocols h2c http/1.1\n$lines");
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    my $token = token();
    my @curls = map {
        open my $fh, '-|', 'curl', '-s', '--http2-prior-knowledge', '-m', 60, '-H', "Authorization: $token",
            "http://$Rt::address/rt/a/subscribe?wait=25&cursor=earliest" or die "curl: $!";
        $fh;
    } 1 .. $most + 3;
    ok wait_for(20, sub { waiters($org) == $most }), "$what: $most polls over HTTP/2 are parked";
    my @paced;
    ok wait_for(20, sub {
        push @paced, map { my $fh = $_; @curls = grep { $_ != $fh } @curls; local $/; scalar <$fh> }
            IO::Select->new(@curls)->can_read(0.1);
        return @paced == 3;
    }), 'three more are answered at once';
    is scalar(grep { /"events":\[\].*"retryMs":[2-5]\d{3},/ } @paced), 3, 'and told to come back';
    my $began = time;
    my $page = qx(curl -s --http2-prior-knowledge -m 20 -o /dev/null -w '%{http_code}' http://$Rt::address/index.html);
    is $page, 200, 'another request over HTTP/2 is answered';
    cmp_ok time - $began, '<', 10, 'soon';
    is waiters($org), $most, 'while they are parked';
    publish('a', event($org, eventId => 'h2'));
    is scalar(grep { /"h2"/ } map { local $/; scalar <$_> } @curls), $most, 'each of those is woken';
    ok wait_for(5, sub { !waiters($org) && !parked() }), 'and none stays behind';
    is(($httpd->stop)[0], 0, 'the server ends');
}

# processes: of prefork's, a third is kept as well, of those too that have no doorbell and are not counted
if ($kind eq 'prefork') {
    expect_warn('OG1501');
    my $httpd = My::Server->new('processes', realtime => 1,
        mpm => "StartServers 60\nMaxRequestWorkers 60\nMinSpareServers 1\nMaxSpareServers 60\n");
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    ok wait_for(30, sub { $httpd->children >= 60 }), 'sixty processes, of which 32 have a doorbell';
    my @polls = map { poll('a', token(), 'wait=20') } 1 .. 59;
    my @paced;
    wait_for(5, sub { @paced = IO::Select->new(@polls)->can_read(0.1); return @paced >= 20 });
    cmp_ok scalar @paced, '>=', 4, 'a flood of polls does not take them all';
    like answer(shift @paced)->{head}, qr/^Connection: close\r$/m, 'who is sent away does not keep a process until then';
    other_within(5, 'all places are taken');
    publish('a', event($org, eventId => 'processes'));
    is scalar(grep { my $res = answer($_); $res && $res->{status} == 200 } @polls), 58, 'each poll is answered';
    is(($httpd->stop)[0], 0, 'the server ends');
}

# descriptors: 40 a process (F25). Only event holds more connections than it has threads.
if ($kind eq 'event') {
    expect_error('\(24\)Too many open files', 'AH00484|AH10159');     # as it is; all threads are busy, and children few, for a moment
    my $httpd = My::Server->new('files', realtime => 1, mpm => mpm(8, "ServerLimit 16\nAsyncRequestWorkerFactor 40\n"),
        lines => "Timeout 60\nKeepAliveTimeout 60\n");
    $httpd->start(files => 40);
    $Rt::address = '127.0.0.1:' . $httpd->port;
    # httpd gives up when its first child runs out before it was seen to be well, once a second
    ok answer(poll('a', token(), 'wait=4')), 'a poll is answered by a server that may open 40 files';
    for my $round (1 .. 3) {
        $org++;
        my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
        my @polls = map { poll('a', token(), "wait=25&cursor=$cursor") } 1 .. 4;
        ok wait_for(10, sub { waiters($org) == 4 }), "$round: polls are parked";
        my $mark = $httpd->mark;
        my @crowd;
        for (1 .. 100) {
            my $socket = eval { ask('GET', '/index.html') } // next;
            answer($socket, 0.5);
            push @crowd, $socket;
            last if $httpd->errors($mark) =~ /AH02179/;
        }
        like $httpd->errors($mark), qr/AH02179: apr_socket_accept/, 'a crowd takes all descriptors';
        close $_ for @crowd;
        my $began = time;
        my $res;
        wait_for(30, sub { $res = eval { publish('a', event($org, eventId => "after$round")) }; $res && $res->{status} == 202 });
        cmp_ok time - $began, '<', 5, 'the server is back within five seconds of its end';
        # who was in the child that ended came back with drain or with the event, and misses nothing
        my @seen = map {
            my $said = json_of(answer($_, 30) // BAIL_OUT('a parked poll has no answer'));
            ids($said) || ids(subscribe('a', token(), "wait=0&cursor=$said->{cursor}"));
        } @polls;
        is_deeply \@seen, [("after$round") x 4], 'and no event is lost to those that were parked';
        close $_ for @polls;
        ok wait_for(10, sub { eval { parked() == 0 } }), 'nobody is counted as waiting';
    }
    unlike $httpd->errors, qr/AH03490/, 'the scoreboard had room';
    is(($httpd->stop)[0], 0, 'the server ends');
}
done_testing;
