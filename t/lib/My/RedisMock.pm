# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::RedisMock;

# Something that greets like a Redis, and then answers each command with the bytes it was told to: what
# a real one can't be brought to say (B42), and what it would take a cluster for.
#
#   my $mock = My::RedisMock->new;
#   $mock->server;                  # as RedisServer takes it
#   $mock->says("-MOVED 1 h:1\r\n") # to what is no greeting; undef: it closes the connection
#   $mock->says($bytes, 1)          # the same, and closes behind it

use strict;
use warnings FATAL => 'all';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();

my %greeting = (AUTH => "+OK\r\n", SELECT => "+OK\r\n", PING => "+PONG\r\n",
    ROLE => "*3\r\n\$6\r\nmaster\r\n:0\r\n*0\r\n");

sub new {
    my $class = shift;
    my $dir = tempdir('mock.XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, owner => $$ }, $class;
    my $listen = IO::Socket::UNIX->new(Local => "$dir/sock", Listen => 64) // die "listen: $!";
    $self->says("+OK\r\n");
    my $parent = $$;
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        $self->{owner} = 0;
        $SIG{PIPE} = 'IGNORE';
        $SIG{TERM} = 'DEFAULT';
        eval { $self->serve($listen, $parent) };
        warn "mock: $@" if $@;
        POSIX::_exit(1);
    }
    return $self;
}

sub server { return "unix:$_[0]{dir}/sock" }

sub says {
    my ($self, $bytes, $closes) = @_;
    open my $fh, '>', "$self->{dir}/new" or die "new: $!";
    print $fh !defined $bytes || $closes ? 'c' : 'o', $bytes // '';
    close $fh or die "new: $!";
    rename "$self->{dir}/new", "$self->{dir}/answer" or die "rename: $!";
    return 1;
}

sub answer {
    my $self = shift;
    open my $fh, '<', "$self->{dir}/answer" or die "answer: $!";
    local $/;
    my $text = <$fh>;
    return (substr($text, 1), substr($text, 0, 1) eq 'c');
}

# A command is answered as soon as its first word is there: nobody sends a second one before.
sub serve {
    my ($self, $listen, $parent) = @_;
    my $select = IO::Select->new($listen);
    while (getppid == $parent) {
        for my $socket ($select->can_read(1)) {
            if ($socket == $listen) {
                $select->add($listen->accept // next);
                next;
            }
            my $n = sysread $socket, my $bytes, 1 << 20;
            my ($reply, $closes) = !$n ? ('', 1)
                : $bytes =~ /\A\*\d+\r\n\$\d+\r\n(\w+)/ && $greeting{$1} ? ($greeting{$1}, 0) : $self->answer;
            syswrite $socket, $reply if length $reply;
            next unless $closes;
            $select->remove($socket);
            close $socket;
        }
    }
    return;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    remove_tree($self->{dir});
    return;
}

1;
