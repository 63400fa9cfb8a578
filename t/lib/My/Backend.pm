# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Backend;

# build/demo-backend as a test's own process: a service that httpd stands before. It ends with the
# object, at the latest with the test.
#
#   my $backend = My::Backend->new('backend');
#   $backend->port;  $backend->stop;  $backend->start;       # the port stays

use strict;
use warnings FATAL => 'all';
use My::Source qw(source);
use POSIX ();
use Time::HiRes ();

sub new {
    my ($class, $name) = @_;
    my $self = bless { run => "$ENV{TEST_STAGE}/t/logs/$name.run", owner => $$, port => 0 }, $class;
    return $self->start;
}

sub port { return $_[0]{port} }

# Returns once it accepts connections.
sub start {
    my $self = shift;
    unlink $self->{run};
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        open STDOUT, '>>', "$self->{run}.output";
        open STDERR, '>&', \*STDOUT;
        exec source('build/demo-backend'), '--port', $self->{port}, '--run', $self->{run} or POSIX::_exit(127);
    }
    my $end = Time::HiRes::time() + 30;
    until (-s $self->{run}) {
        die "demo-backend did not start: see $self->{run}.output\n"
            if Time::HiRes::time() > $end || waitpid($self->{pid}, POSIX::WNOHANG()) > 0;
        select undef, undef, undef, 0.02;
    }
    open my $fh, '<', $self->{run} or die "$self->{run}: $!";
    my ($pid, $port) = map { $_ + 0 } <$fh>;
    $self->{port} = $port;
    return $self;
}

sub stop {
    my $self = shift;
    my $pid = delete $self->{pid} or return;
    kill TERM => $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local ($?, $@);
    eval { $self->stop };
    return;
}

1;
