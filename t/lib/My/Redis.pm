# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Redis;

# A Redis of a test's own, to be stopped, frozen and emptied without harm: on a Unix socket, and on a
# free port where a test wants one, without a file on disk. It ends with the object, at the latest
# with the test.
#
#   my $redis = My::Redis->new->start('--requirepass', 'secret');
#   $redis->socket;               # its path          $redis->server: as RedisServer takes it
#   $redis->call('SET', 'k', 'v') # one command: a string, a number, undef, [...], or { error => … }
#   $redis->stop; $redis->freeze; $redis->thaw;
#   My::Redis->new(port => 1)     # TCP besides: replicas need it; $redis->port

use strict;
use warnings FATAL => 'all';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();

sub new {
    my ($class, %opt) = @_;
    my $dir = tempdir('redis.XXXXXX', TMPDIR => 1);     # short: sun_path has 107 bytes
    my $self = bless { dir => $dir, owner => $$, port => 0 }, $class;
    $self->{port} = free_port() if $opt{port};
    return $self;
}

sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    return $socket->sockport;
}

sub socket { return "$_[0]{dir}/redis.sock" }
sub server { return "unix:$_[0]{dir}/redis.sock" }
sub port   { return $_[0]{port} }
sub dir    { return $_[0]{dir} }

# Returns once it answers; with arguments of redis-server.
sub start {
    my ($self, @args) = @_;
    my $dir = $self->{dir};
    $self->{args} = \@args if @args;
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        open STDOUT, '>>', "$dir/redis.log";
        open STDERR, '>&', \*STDOUT;
        exec 'redis-server', '--port', $self->{port}, '--bind', '127.0.0.1', '--unixsocket', $self->socket,
            '--dir', $dir, '--save', '', '--appendonly', 'no', @{ $self->{args} // [] }
            or POSIX::_exit(127);
    }
    for (1 .. 1000) {
        return $self if eval { $self->call('PING'); 1 };
        select undef, undef, undef, 0.02;
    }
    die 'Redis did not start: ' . $self->log;
}

sub stop {
    my $self = shift;
    my $pid = delete $self->{pid} or return 1;
    kill KILL => $pid;
    waitpid $pid, 0;
    delete $self->{admin};
    unlink $self->socket;
    return 1;
}

sub freeze { my $self = shift; $self->{frozen} = 1; return kill STOP => $self->{pid} }
sub thaw   { my $self = shift; delete $self->{frozen}; return kill CONT => $self->{pid} }

# A command over a connection of the test's own.
sub call {
    my ($self, @words) = @_;
    my $socket = $self->{admin} //= IO::Socket::UNIX->new(Peer => $self->socket) // die "redis: $!";
    print $socket '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;
    my $reply = eval { reply($socket) };
    if ($@) {
        delete $self->{admin};
        die $@;
    }
    return $reply;
}

sub reply {
    my $socket = shift;
    local $/ = "\r\n";
    my $line = <$socket> // die "redis: no answer\n";
    chomp $line;
    my ($kind, $rest) = $line =~ /^(.)(.*)/s;
    return { error => $rest } if $kind eq '-';
    return $rest if $kind =~ /[+:]/;
    return undef if $rest < 0;
    return [map { reply($socket) } 1 .. $rest] if $kind eq '*';
    read($socket, my $bytes, $rest + 2) == $rest + 2 or die "redis: cut off\n";
    return substr $bytes, 0, $rest;
}

sub log {
    my $self = shift;
    open my $fh, '<', "$self->{dir}/redis.log" or return '';
    local $/;
    return scalar <$fh>;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->thaw if $self->{frozen};
    $self->stop;
    remove_tree($self->{dir});
    return;
}

1;
