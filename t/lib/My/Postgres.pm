# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Postgres;

# A PostgreSQL of a test's own, to be stopped, killed and frozen without harm to the run's: on a
# Unix socket, no TCP, no fsync. It ends with the object, at the latest with the test.
#
#   my $pg = My::Postgres->new;  $pg->start;  $pg->migrate;
#   $pg->host;                    # socket folder
#   $pg->stop('immediate');       # or fast, smart
#   $pg->freeze; $pg->thaw;       # SIGSTOP, SIGCONT to all its processes

use strict;
use warnings FATAL => 'all';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use POSIX ();

my %signal = (smart => 'TERM', fast => 'INT', immediate => 'QUIT');

sub new {
    my $class = shift;
    my ($bin) = reverse sort glob '/usr/lib/postgresql/*/bin';
    my $dir = tempdir('pg.XXXXXX', TMPDIR => 1);     # short: sun_path has 107 bytes
    my $self = bless { bin => $bin, dir => $dir, owner => $$ }, $class;
    run("$bin/initdb -D $dir/data -U test -A trust -E UTF8 --locale=C -N >$dir/initdb.log 2>&1");
    return $self;
}

sub run {
    system(@_) == 0 or die "@_: status $?";
    return 1;
}

sub host { return $_[0]{dir} }

# Returns once it accepts connections.
sub start {
    my $self = shift;
    my $dir = $self->{dir};
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        open STDOUT, '>>', "$dir/postgres.log";
        open STDERR, '>&', \*STDOUT;
        exec "$self->{bin}/postgres", '-D', "$dir/data", '-k', $dir, '-h', '', '-F',
            '-c', 'max_prepared_transactions=1', @_
            or POSIX::_exit(127);
    }
    $self->wait_ready;
    return $self;
}

sub wait_ready {
    my $self = shift;
    for (1 .. 500) {
        return 1 if system("$self->{bin}/pg_isready", '-q', '-h', $self->{dir}) == 0;
        select undef, undef, undef, 0.02;
    }
    die 'PostgreSQL did not start: ' . $self->log;
}

# The database orgscale with the project's schema.
sub migrate {
    my $self = shift;
    my $src = "$ENV{TEST_STAGE}/src";
    run("$self->{bin}/createdb", '-h', $self->{dir}, '-U', 'test', 'orgscale');
    run("$src/build/migrate", "host=$self->{dir} user=test dbname=orgscale", "$src/conf/sql");
    return $self;
}

sub stop {
    my ($self, $mode) = @_;
    my $pid = delete $self->{pid} or return;
    kill $signal{$mode || 'fast'}, $pid;
    waitpid $pid, 0;
    return 1;
}

# postgres and its children: each backend is in a process group of its own
sub processes {
    my $self = shift;
    open my $fh, '-|', 'ps', '-o', 'pid=', '--pid', $self->{pid}, '--ppid', $self->{pid} or die "ps: $!";
    return map { $_ + 0 } <$fh>;
}

sub freeze { my $self = shift; return $self->{frozen} = kill STOP => $self->processes }
sub thaw   { my $self = shift; delete $self->{frozen}; return kill CONT => $self->processes }

sub log {
    my $self = shift;
    open my $fh, '<', "$self->{dir}/postgres.log" or return '';
    local $/;
    return scalar <$fh>;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local $?;
    $self->thaw if $self->{frozen};
    $self->stop('immediate');
    remove_tree($self->{dir});
}

1;
