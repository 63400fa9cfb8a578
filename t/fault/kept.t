# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Graceful restarts under clients that keep their connections, poll and publish (F04). A connection may
# end between two requests, also when the next is on its way and the server has not taken it: the client
# asks again. What the server has taken, and so logged, is answered in full, and so is whatever is asked
# first on a connection.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use My::Server;
use POSIX ();
use Rt qw(caller_of event metrics publish wait_for);
use Test::More;

use constant { CLIENTS => 6, RELOADS => 10, PUBLISHER => 1, WITHIN => 30 };
my $slow = My::Server::slowness();
my $token = caller_of(org => 760);
my $coder = JSON::PP->new->canonical;
my @ways = ($ENV{TEST_MPM} // 'event') eq 'event' ? qw(waitio owned condvar) : 'condvar';

# The n-th request of a client: one of them publishes, the others poll, for no time or long.
sub request_of {
    my ($client, $n) = @_;
    my $id = "Host: localhost\r\nX-Id: $client-$n\r\n";
    return 'GET /rt/a/subscribe?wait=' . ($n % 3 ? 20 : 0) . " HTTP/1.1\r\nAuthorization: $token\r\n$id\r\n" if $client != PUBLISHER;
    my $body = $coder->encode(event(760, eventId => "k$n"));
    return "POST /rt/a/publish HTTP/1.1\r\n${id}Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

# The whole of an answer and '', or what there was of it and how it ended.
sub read_answer {
    my ($socket) = @_;
    my ($text, $want) = ('', undef);
    while (!defined $want || length $text < $want) {
        IO::Select->new($socket)->can_read(WITHIN * $slow) or return ($text, 'silence');
        my $got = sysread $socket, $text, 65536, length $text;
        return ($text, defined $got ? 'an end' : "$!") if !$got;
        $want = $+[0] + ($1 =~ /^Content-Length: (\d+)/mi ? $1 : 0) if !defined $want && $text =~ /^(.*?\r\n)\r\n/s;
    }
    return ($text, '');
}

# Asks until it is told to stop, and writes down what went wrong: number, how many were answered on that
# connection before, bytes, how it ended. The last line is how many answers there were, and how many drain.
sub run_client {
    my ($client, $port, $file, $parent) = @_;
    my ($socket, $before, $stop, %count) = (undef, 0, 0, answers => 0, drained => 0);
    local @SIG{qw(TERM PIPE)} = (sub { $stop = 1 }, 'IGNORE');
    open my $out, '>', $file or die "$file: $!";
    for (my $n = 1; !$stop && getppid() == $parent; $n++) {
        ($socket, $before) = (IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => WITHIN), 0) if !$socket;
        my ($text, $wrong) = !$socket ? ('', "connect: $!")
            : syswrite($socket, request_of($client, $n)) ? read_answer($socket) : ('', "$!");
        $wrong ||= $text =~ m{^HTTP/1\.1 20[02] } ? '' : substr $text, 0, 12;
        if ($wrong) {
            last if $stop;
            print $out join("\t", "$client-$n", $before, length $text, $wrong), "\n";
        }
        else {
            $before = ++$count{answers};
            $count{drained} += $text =~ /"drain":true/;
        }
        undef $socket if $wrong || $text =~ /^Connection: close\r$/m;
    }
    print $out "$count{answers}\t$count{drained}\n";
    close $out or die "$file: $!";
    return;
}

sub start_clients {
    my ($httpd) = @_;
    my $parent = $$;
    return map {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            eval { run_client($_, $httpd->port, $httpd->dir . "/client.$_", $parent); 1 } or print STDERR $@;
            POSIX::_exit(0);
        }
        $pid;
    } 1 .. CLIENTS;
}

for my $way (@ways) {
    my $httpd = My::Server->new("kept-$way", realtime => 1, lines => "RealtimePark $way\n",
        log => "LogLevel warn\nCustomLog logs/kept-$way/access_log \"x=%{X-Id}i %k %X %s\"\n")->start;
    local $Rt::address = '127.0.0.1:' . $httpd->port;
    my $file = $httpd->dir . '/access_log';
    is publish('a', event(760))->{status}, 202, "$way: the server is there";
    my @clients = start_clients($httpd);
    for my $round (1 .. RELOADS) {
        my $size = -s $file;
        # each had an answer, as a rule, since the last one
        ok wait_for(20 * $slow, sub { my $new = () = My::Server::slurp($file, $size) =~ /\n/g; $new > 3 * CLIENTS }),
            "$way: reload $round: the clients are answered";
        $httpd->reload('USR1')->renewed;
    }
    kill TERM => @clients;
    waitpid $_, 0 for @clients;
    is(($httpd->stop('WINCH'))[0], 0, "$way: the server ends");

    my $taken = My::Server::slurp($file);
    my ($answers, $drained, @bad) = (0, 0);
    for my $line (map { split /\n/, My::Server::slurp($httpd->dir . "/client.$_") } 1 .. CLIENTS) {
        my ($id, $before, $length, $wrong) = split /\t/, $line;
        if (!defined $wrong) {
            $answers += $id;
            $drained += $before;
        }
        elsif (!$before || $length || $wrong eq 'silence' || $taken =~ /^x=\Q$id\E /m) {
            push @bad, "$line " . ($taken =~ /^(x=\Q$id\E .*)$/m ? $1 : '');
        }
    }
    is_deeply \@bad, [], "$way: each request that was taken is answered, and each first one of a connection";
    cmp_ok $answers, '>', RELOADS * CLIENTS, "$way: of which there were some";
    cmp_ok $drained, '>=', RELOADS, "$way: and polls that were told to come back";
}
done_testing;
