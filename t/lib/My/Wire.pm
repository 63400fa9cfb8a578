# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Wire;

# A connection that sends any bytes and shows every byte that comes back, with deadlines.
#
#   my $wire = My::Wire->new($port);
#   $wire->send($bytes);
#   $wire->drip($bytes, $seconds);    # a byte each so many seconds, until the server says something
#   my $answer = $wire->answer;       # undef: none in time
#   $answer->{status}                 # 0: the connection ended without one, 9: bytes without a status line
#   $wire->rest                       # bytes from here to the end of the connection; undef: it did not end

use strict;
use warnings FATAL => 'all';
use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);

our $WITHIN = 20;       # seconds for whatever is waited for: generous, machines are slow

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $WITHIN)
        or die "connect to $port: $!";
    $socket->blocking(0);
    binmode $socket;
    return bless { socket => $socket, in => '', ended => 0 }, $class;
}

# All bytes, or as many as the server takes before it closes; what comes meanwhile is kept. Returns
# how many were taken.
sub send {
    my ($self, $bytes) = @_;
    my ($end, $sent) = (time + $WITHIN, 0);
    local $SIG{PIPE} = 'IGNORE';
    my $select = IO::Select->new($self->{socket});
    while ($sent < length $bytes && !$self->{ended}) {
        my $left = $end - time;
        last if $left <= 0;
        my ($read, $write) = IO::Select->select($select, $select, undef, $left);
        $self->take if $read && @$read;
        next unless $write && @$write;
        my $n = syswrite $self->{socket}, $bytes, 65536, $sent;
        last if !defined $n && !$!{EAGAIN};
        $sent += $n // 0;
    }
    return $sent;
}

# A byte each so many seconds until all are sent, or something comes back, or the end. Returns how
# many were sent.
sub drip {
    my ($self, $bytes, $pause) = @_;
    my ($end, $sent) = (time + $WITHIN, 0);
    local $SIG{PIPE} = 'IGNORE';
    while ($sent < length $bytes && !$self->{ended} && !length $self->{in} && time < $end) {
        $sent += syswrite($self->{socket}, $bytes, 1, $sent) // 0;
        $self->take if IO::Select->new($self->{socket})->can_read($pause);
    }
    return $sent;
}

# No more from this side; the answer may still come.
sub finish { return shutdown $_[0]{socket}, 1 }

# What has arrived by now.
sub take {
    my $self = shift;
    my $n = sysread $self->{socket}, $self->{in}, 262144, length $self->{in};
    $self->{ended} = 1 if defined $n ? !$n : !$!{EAGAIN};
    return;
}

# Until the code finds what it wants in the bytes that came, or they end, or time is up.
sub until {
    my ($self, $within, $found) = @_;
    my $end = time + $within;
    while (!(my $got = $found->())) {
        return undef if $self->{ended};
        my $left = $end - time;
        return undef if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
        $self->take;
    }
    return 1;
}

# The length of the first message in the buffer, when all of it is there.
sub complete {
    my ($self, $method) = @_;
    $self->{in} =~ /^(HTTP\/1\.[01] (\d{3}).*?\r\n\r\n)/s or return undef;
    my ($head, $status, $at) = ($1, $2, length $1);
    return $at if $status < 200 || $status == 204 || $status == 304 || $method eq 'HEAD';
    if ($head =~ /^Transfer-Encoding:\s*chunked\r$/mi) {
        while (substr($self->{in}, $at) =~ /^([0-9A-Fa-f]+)[^\n]*\r\n/) {
            my ($line, $size) = (length $&, hex $1);
            $at += $line + $size + 2;
            return $at <= length $self->{in} ? $at : undef if !$size;
        }
        return undef;
    }
    if ($head =~ /^Content-Length:\s*(\d+)\r$/mi) {
        return $at + $1 <= length $self->{in} ? $at + $1 : undef;
    }
    return $self->{ended} ? length $self->{in} : undef;
}

# The next final answer; interim ones (100) are skipped.
sub answer {
    my ($self, %opt) = @_;
    my ($size, $method) = (undef, $opt{method} // 'GET');
    while (1) {
        $self->until($opt{within} // $WITHIN, sub { defined($size = $self->complete($method)) });
        $size //= $self->complete($method);
        last unless defined $size && $self->{in} =~ /^HTTP\/1\.1 1/;
        substr $self->{in}, 0, $size, '';
    }
    if (!defined $size) {
        return undef unless $self->{ended};
        my $raw = $self->{in};
        $self->{in} = '';
        return { status => length $raw ? 9 : 0, raw => $raw, head => '', body => $raw, keep => 0 };
    }
    my $raw = substr $self->{in}, 0, $size, '';
    my ($head, $body) = $raw =~ /^(.*?\r\n)\r\n(.*)$/s;
    my ($version, $status) = $head =~ m{^HTTP/(1\.[01]) (\d+)};
    my $keep = $head !~ /^Connection:[^\r]*\bclose\b/mi && ($version eq '1.1' || $head =~ /^Connection:[^\r]*keep-alive/mi);
    return { status => 0 + $status, raw => $raw, head => $head, body => $body, keep => $keep && !$self->{ended} };
}

sub rest {
    my ($self, $within) = @_;
    $self->until($within // $WITHIN, sub { $self->{ended} });
    return $self->{ended} ? $self->{in} : undef;
}

1;
