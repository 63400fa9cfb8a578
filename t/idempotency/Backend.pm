# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Backend;

# A backend that counts its effects: a process a connection, a line of a log as an effect begins and
# ends. What it does is told by the request's X-Do, which no fingerprint covers: words, in order.
#
#   status=409  field=Name:value  body=TEXT  big=BYTES  none (no body)  chunked  sleep=SECONDS (in the
#   effect)  cut (half of the body, then the end of the connection)  drop (the end without an answer)
#   refuse (the same, before any effect)
#
#   my $backend = Backend->new;   $backend->port;   $backend->effects($key)   $backend->overlaps

use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha256_hex);
use Fcntl qw(O_APPEND O_CREAT O_WRONLY);
use File::Temp ();
use IO::Socket::INET ();
use POSIX ();

sub new {
    my $class = shift;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024, ReuseAddr => 1) or die "listen: $!";
    my $self = bless { log => File::Temp->new(TEMPLATE => 'effects.XXXXXX', TMPDIR => 1),
                       port => $listen->sockport, owner => $$ }, $class;
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        eval { $self->serve($listen) };
        POSIX::_exit(1);
    }
    return $self;
}

sub port { return $_[0]{port} }

sub serve {
    my ($self, $listen) = @_;
    setpgrp;
    @SIG{qw(CHLD PIPE)} = qw(IGNORE IGNORE);
    while (1) {
        my $socket = $listen->accept or next;
        my $pid = fork // next;
        next if $pid;
        close $listen;
        sysopen $self->{out}, "$self->{log}", O_WRONLY | O_APPEND | O_CREAT or POSIX::_exit(1);
        $socket->autoflush(1);
        1 while eval { $self->exchange($socket) };
        POSIX::_exit(0);
    }
}

sub note { my ($self, $line) = @_; return syswrite $self->{out}, "$line\n" }

sub body_of {
    my ($socket, $head) = @_;
    my $body = '';
    if ($head =~ /^Transfer-Encoding: chunked\r$/mi) {
        while (defined(my $line = <$socket>)) {
            my $size = hex $line =~ s/[\r\n;].*//sr;
            read $socket, my $chunk, $size + 2;
            return $body if !$size;
            $body .= substr $chunk, 0, $size;
        }
    }
    my ($length) = $head =~ /^Content-Length: (\d+)\r$/mi;
    read $socket, $body, $length if $length;
    return $body;
}

# One request. False ends the connection.
sub exchange {
    my ($self, $socket) = @_;
    my $head = '';
    while (defined(my $line = <$socket>)) {
        last if $line eq "\r\n";
        $head .= $line;
    }
    return 0 if !length $head;
    my $body = body_of($socket, $head);
    my ($method, $path) = $head =~ /^(\S+) (\S+)/;
    my ($key) = $head =~ /^Idempotency-Key: (\S*)\r$/mi;
    my @words = split ' ', ($head =~ /^X-Do: ([^\r]*)\r$/mi)[0] // '';
    my %do = map { /^(\w+)=(.*)/ ? ($1 => $2) : ($_ => 1) } grep { !/^field=/ } @words;
    $key //= '-';
    return 0 if $do{refuse};

    $self->note("begin $key");
    select undef, undef, undef, $do{sleep} if $do{sleep};
    $self->note("end $key");
    return 0 if $do{drop};

    my $answer = $do{body} // sprintf '{"method":"%s","path":"%s","sum":"%s","length":%d,"serial":"%d-%d"}',
        $method, $path, sha256_hex($body), length $body, $$, ++$self->{serial};
    $answer = 'x' x $do{big} if $do{big};
    $answer = '' if $do{none};
    my $status = $do{status} // 201;
    my @fields = ("HTTP/1.1 $status Said", 'Content-Type: application/json', map { /^field=(.*?):(.*)/ ? "$1: $2" : () } @words);
    if ($status == 204) { $answer = '' }
    elsif ($do{chunked}) { push @fields, 'Transfer-Encoding: chunked'; $answer = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $answer, $answer }
    else { push @fields, 'Content-Length: ' . length $answer }
    $answer = substr $answer, 0, length($answer) / 2 if $do{cut};
    print $socket join("\r\n", @fields), "\r\n\r\n", $answer;
    return !$do{cut};
}

sub lines {
    my $self = shift;
    open my $fh, '<', "$self->{log}" or die "log: $!";
    chomp(my @lines = <$fh>);
    return @lines;
}

# How many effects there were; of one key, or of all.
sub effects {
    my ($self, $key) = @_;
    return scalar grep { /^begin / && (!defined $key || $_ eq "begin $key") } $self->lines;
}

# How often each key had its effect.
sub counts {
    my %count;
    /^begin (.*)/ && $count{$1}++ for $_[0]->lines;
    return \%count;
}

# Keys that had an effect while another one of theirs was under way.
sub overlaps {
    my (%open, %twice);
    for ($_[0]->lines) {
        my ($what, $key) = split ' ', $_, 2;
        $open{$key} += $what eq 'begin' ? 1 : -1;
        $twice{$key} = 1 if $open{$key} > 1;
    }
    return sort keys %twice;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local $?;
    kill KILL => -$self->{pid}, $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

1;
