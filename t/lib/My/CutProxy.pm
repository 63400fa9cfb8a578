# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::CutProxy;

# Stands between a client and PostgreSQL on a Unix socket and cuts the connection at COMMIT, where
# the outcome is hardest to know (F14).
#
#   my $proxy = My::CutProxy->new($pg->host, 'before');    $proxy->host
#
# before: COMMIT never reaches the server.   after: the server has answered it, the client is not told.

use strict;
use warnings FATAL => 'all';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();

sub new {
    my ($class, $server, $when) = @_;
    my $dir = tempdir('cut.XXXXXX', TMPDIR => 1);
    my $listen = IO::Socket::UNIX->new(Local => "$dir/.s.PGSQL.5432", Listen => 50) or die "listen: $!";
    my $self = bless { dir => $dir, owner => $$, pid => fork // die "fork: $!" }, $class;
    if (!$self->{pid}) {
        serve($listen, "$server/.s.PGSQL.5432", $when);
        POSIX::_exit(0);
    }
    return $self;
}

sub host { return $_[0]{dir} }

# A process a connection, so that one that waits holds no other
sub serve {
    my ($listen, $server, $when) = @_;
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    while (1) {
        my $client = $listen->accept or next;       # EINTR of a child's end
        my $pid = fork // die "fork: $!";
        next if $pid;
        close $listen;
        my $backend = IO::Socket::UNIX->new(Peer => $server);
        relay($client, $backend, $when) if $backend;
        POSIX::_exit(0);
    }
}

sub relay {
    my ($client, $server, $when) = @_;
    my $select = IO::Select->new($client, $server);
    my $cutting = 0;
    while (1) {
        for my $from ($select->can_read) {
            sysread $from, my $bytes, 65536 or return;
            if ($from == $client && $bytes =~ /COMMIT\0/) {
                return if $when eq 'before';
                $cutting = 1;
            }
            # ReadyForQuery, idle: the transaction is over, and the client shall not hear of it
            return if $cutting && $from == $server && $bytes =~ /Z\x00\x00\x00\x05I\z/;
            next if $cutting && $from == $server;
            send_all($from == $client ? $server : $client, $bytes) or return;
        }
    }
}

sub send_all {
    my ($to, $bytes) = @_;
    while (length $bytes) {
        my $n = syswrite $to, $bytes or return 0;
        substr $bytes, 0, $n, '';
    }
    return 1;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local $?;
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    remove_tree($self->{dir});
}

1;
