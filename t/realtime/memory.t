# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A parked poll's request fits into one of httpd's blocks of memory (8 KiB): with the modules that it needs
# and a request as short as programs send, 300 of them take at most 23 KiB each (of many it is 21: some memory
# a child takes once), when what their connections' requests before left free has been given back. A second
# block makes it more than 24. So it stays when all have had news and poll again, whoever runs that poll.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use IO::Socket::INET ();
use My::Server;
use Rt qw(answer caller_of event json_of publish wait_for waiters);
use Test::More;

plan skip_all => 'only event keeps polls without a thread' if ($ENV{TEST_MPM} // 'event') ne 'event';
plan skip_all => 'sanitizers have blocks of their own' if $ENV{ASAN_OPTIONS} || $ENV{TSAN_OPTIONS};

my ($polls, $org) = (300, 330);

# Of the suite's modules those that a server of polls has
my $needed = qr/^LoadModule (?:mpm_event|authn_core|authz_core|authz_host|authz_user|mime|reqtimeout|tenant|realtime_lp)_module/;
my $load = join '', map { "$_\n" } grep { /$needed/ } split /\n/, My::Server::slurp("$ENV{TEST_STAGE}/load.conf");

# Prints the request of a poll to a connection.
sub ask_on {
    my ($socket, $query) = @_;
    print $socket "GET /rt/a/subscribe?$query HTTP/1.1\r\nHost: localhost\r\nAuthorization: ", caller_of(org => $org),
        "\r\n\r\n" or die "send: $!";
    $socket->flush;
    return $socket;
}

# Parked behind an answer, as polls mostly are: what that has left free counts as well.
sub parked {
    my $socket = IO::Socket::INET->new(PeerAddr => $Rt::address, Timeout => 10) or die "connect: $!";
    my $cursor = json_of(answer(ask_on($socket, 'wait=0')) // die "no answer\n")->{cursor};
    return ask_on($socket, "cursor=$cursor&wait=25");
}

# Each has news, and polls again.
sub all_again {
    my @sockets = @_;
    publish('a', event($org));
    for my $socket (@sockets) {
        my $cursor = json_of(answer($socket) // BAIL_OUT('no answer'))->{cursor};
        ask_on($socket, "cursor=$cursor&wait=25");
    }
    ok wait_for(10, sub { waiters($org) == @sockets }), 'all have had news and wait again';
    return;
}

for my $park (qw(waitio owned)) {
    my $httpd = My::Server->new("memory_$park", realtime => 1, load => $load, log => "LogLevel warn\n",
        lines => "RealtimePark $park\nTimeout 60\nKeepAliveTimeout 60\n", mpm => "StartServers 1\nServerLimit 1\nThreadsPerChild 3\n"
            . "MaxRequestWorkers 3\nMinSpareThreads 1\nMaxSpareThreads 3\nAsyncRequestWorkerFactor 400\n");
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    my @warm = map { parked() } 1 .. 10;
    my ($child) = $httpd->children;
    # KiB, of the child
    my $memory = sub { My::Server::slurp("/proc/$child/smaps_rollup") =~ /^Pss:\s+(\d+) kB/m ? $1 : die "no Pss\n" };
    my $before = $memory->();
    my @all = map { parked() } 1 .. $polls;
    my $each = sub { ($memory->() - $before) / $polls };

    ok wait_for(10, sub { waiters($org) == $polls + @warm }), "$park: all wait";
    ok wait_for(15, sub { $each->() <= 23 }), 'a parked poll takes at most 23 KiB';
    note sprintf '%.1f KiB', $each->();
    all_again(@all, @warm) for 1 .. 2;
    sleep 2;
    cmp_ok $each->(), '<=', 23, 'and takes no more';
    note sprintf '%.1f KiB', $each->();
    close $_ for @all, @warm;   # a stop that has to answer them all would take its time
    ok wait_for(10, sub { waiters($org) == 0 }), 'all have left';
    $httpd->stop;
}
done_testing;
