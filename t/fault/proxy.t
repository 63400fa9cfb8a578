# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The fault proxy itself, before a server that says what it hears: other suites rest on it.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::UNIX;
use My::FaultProxy;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

$SIG{PIPE} = 'IGNORE';
my $dir = tempdir('echo.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $listen = IO::Socket::UNIX->new(Local => "$dir/echo", Listen => 5) or die "listen: $!";
my $echo = fork // die "fork: $!";
if (!$echo) {
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $socket = $listen->accept or next;
        next if fork;
        syswrite $socket, $_ while sysread $socket, $_, 65536;
        POSIX::_exit(0);
    }
}
my $proxy = My::FaultProxy->new("$dir/echo");

sub connected { return IO::Socket::UNIX->new(Peer => $proxy->host . '/.s.PGSQL.5432') }

# What comes back until so many bytes are there, the connection ends or the time is over: the bytes,
# how it ended (full, end, time) and after how long
sub heard {
    my ($socket, $want, $within) = (shift, shift, shift // 10);
    my ($got, $began) = ('', time);
    while (length $got < $want) {
        my $left = $began + $within - time;
        return ($got, 'time', time - $began) unless $left > 0 && IO::Select->new($socket)->can_read($left);
        sysread $socket, $got, 65536, length $got or return ($got, 'end', time - $began);
    }
    return ($got, 'full', time - $began);
}

# Says these, one after the other, each when the one before has come back; what was heard of the last
sub talk {
    my ($socket, @lines) = @_;
    my @last;
    for my $line (@lines) {
        syswrite $socket, $line;
        @last = heard($socket, length $line, 2);
    }
    return @last;
}

my $mib = join '', map { chr($_ % 251) } 1 .. 1 << 20;
my $big = connected();
if (!(my $pid = fork // die "fork: $!")) {
    print $big $mib;
    $big->flush;
    POSIX::_exit(0);
}
is +(heard($big, length $mib))[0], $mib, 'a megabyte passes unchanged';

$proxy->set(mode => 'delay', by => 0.3);
my (undef, $how, $took) = talk(connected(), 'ping');
is $how, 'full', 'delayed bytes come';
cmp_ok $took, '>=', 0.55, 'after the delay there and the delay back';

$proxy->set(mode => 'drip', from => 'server', rate => 500);
(undef, $how, $took) = talk(connected(), 'x' x 300);
is $how, 'full', 'dripping bytes come';
cmp_ok $took, '>=', 0.5, 'at their rate';

$proxy->set(mode => 'hole', from => 'client', after => 10);
my ($got, $end) = talk(connected(), '12345678', '90hidden');
is_deeply [$got, $end], ['90', 'time'], 'bytes vanish behind an offset, and the connection stays';

$proxy->set(mode => 'truncate', from => 'server', after => 3);
is_deeply [(talk(connected(), '12345'))[0, 1]], ['123', 'end'], 'what came before the offset is delivered, then it ends';

$proxy->set(mode => 'garbage', from => 'server', after => 4);
($got) = talk(connected(), '1234' . 'x' x 64);
is length $got, 68, 'garbage has the same length';
like $got, qr/^1234(?!x{64})/, 'and other bytes';

$proxy->set(mode => 'cut', from => 'client', match => 'COM+IT');
is +(talk(connected(), 'nothing to see', 'a COM', 'M'))[1], 'full', 'what does not match yet passes';
my $socket = connected();
talk($socket, 'COM');
is +(talk($socket, 'MIT'))[1], 'end', 'a match over two pieces is cut';
is $proxy->hits, 1, 'and counted';

$proxy->set(mode => 'cut', from => 'server', armed_by => 'do it', match => 'it\z');
$socket = connected();
is +(talk($socket, 'it'))[1], 'full', 'unarmed, an answer passes';
is_deeply [(talk($socket, 'do it'))[0, 1]], ['', 'end'], 'armed, it is made and never told';

$proxy->set(mode => 'cut', from => 'client', match => 'GO', every => 3);
$socket = connected();
is +(talk($socket, 'GO', 'GO'))[1], 'full', 'two of three pass';
is +(talk($socket, 'GO'))[1], 'end', 'the third is cut';
$proxy->set(mode => 'cut', from => 'client', match => 'GO', chance => 0);
is +(talk(connected(), ('GO') x 20))[1], 'full', 'no chance, no cut';

my $open = connected();
talk($open, 'here');
$proxy->set(mode => 'refuse');
ok !connected(), 'nobody listens';
is +(talk($open, 'still here'))[1], 'full', 'who is connected stays';
$proxy->set(mode => 'silent');
$socket = connected();
is +(heard($socket, 1, 0.2))[1], 'time', 'accepted, and never a byte';
$proxy->pass;
is +(heard($socket, 1))[1], 'end', 'its end comes with the next mode';
is +(talk(connected(), 'ping'))[1], 'full', 'and all is well';

kill TERM => $echo;
waitpid $echo, 0;
done_testing;
