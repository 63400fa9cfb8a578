# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Connections that go from worker to worker and leave their memory to the next one, with requests that
# none of our locks is taken for: under the thread sanitizer only the MPM's own order shows that one
# use of that memory comes after the other (tsan_atomics.c). SOAK_ROUNDS makes it longer (build/soak
# does).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use IO::Socket::INET ();
use POSIX ();
use Test::More;

my $rounds = 20 * ($ENV{SOAK_ROUNDS} || 5);
my $clients = 12;
my $port = Apache::Test::vars('port');

# One connection: so many requests, the last of which ends it. Dies of what is wrong.
sub connection {
    my $requests = shift;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 30)
        or die "connect: $!\n";
    for my $n (1 .. $requests) {
        my $end = $n == $requests ? "Connection: close\r\n" : '';
        print $socket "HEAD /index.html HTTP/1.1\r\nHost: localhost\r\n$end\r\n";
        my $line = <$socket>;
        return if !defined $line && $n > 1;     # when all workers are busy, the MPM keeps none alive
        die 'answered: ' . ($line // 'nothing') . "\n" unless ($line // '') =~ m{^HTTP/1\.1 200 };
        while (defined $line && $line ne "\r\n") {
            $line = <$socket>;
        }
    }
    return;
}

my %running;
for my $n (1 .. $clients) {
    pipe my $from, my $to or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        alarm 600;
        local $SIG{PIPE} = 'IGNORE';
        my $done = 0;
        eval { connection(1 + $done % 3), $done++ while $done < $rounds; 1 } or syswrite $to, $@;
        syswrite $to, "done $done\n";
        POSIX::_exit(0);
    }
    close $to;
    $running{$n} = [$pid, $from];
}
for my $n (sort { $a <=> $b } keys %running) {
    my ($pid, $from) = @{ $running{$n} };
    my $said = do { local $/; <$from> };
    waitpid $pid, 0;
    is $said, "done $rounds\n", "client $n had its $rounds connections";
}
done_testing;
