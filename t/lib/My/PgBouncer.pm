# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::PgBouncer;

# A PgBouncer of a test's own before a PostgreSQL on a Unix socket: conf/pgbouncer.ini, with other
# addresses and without passwords. It ends with the object.
#
#   exit My::PgBouncer::through($ENV{TEST_PGHOST}, 'test_tx');   # a test program of t/unit, through it

use strict;
use warnings FATAL => 'all';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use POSIX ();

sub new {
    my ($class, $server) = @_;
    my $dir = tempdir('bouncer.XXXXXX', TMPDIR => 1);
    spew("$dir/users", map { qq("$_" ""\n) } qw(orgscale_app orgscale_job test));
    spew("$dir/ini", <<"EOS");     # what comes later wins
%include $ENV{TEST_STAGE}/src/conf/pgbouncer.ini
[databases]
orgscale = host=$server port=5432 dbname=orgscale
[pgbouncer]
listen_addr =
unix_socket_dir = $dir
auth_type = trust
auth_file = $dir/users
logfile = $dir/log
pidfile = $dir/pid
EOS
    my $self = bless { dir => $dir, owner => $$, pid => fork // die "fork: $!" }, $class;
    if (!$self->{pid}) {
        exec '/usr/sbin/pgbouncer', '-q', "$dir/ini" or POSIX::_exit(127);
    }
    for (1 .. 250) {
        return $self if IO::Socket::UNIX->new(Peer => "$dir/.s.PGSQL.6432");
        select undef, undef, undef, 0.02;
    }
    die 'pgbouncer did not start: ' . $self->log;
}

sub spew {
    my ($file, @text) = @_;
    open my $fh, '>', $file or die "$file: $!";
    print $fh @text;
    close $fh or die "$file: $!";
    return $file;
}

sub host { return $_[0]{dir} }
sub port { return 6432 }

sub log {
    my $self = shift;
    open my $fh, '<', "$self->{dir}/log" or return '';
    local $/;
    return scalar <$fh>;
}

sub through {
    my ($server, $program) = @_;
    my $bouncer = My::PgBouncer->new($server);
    local $ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
    local $ENV{TEST_PGADMIN} = $server;     # what the test itself does goes straight to the server
    local $ENV{TEST_PGHOST} = $bouncer->host;
    local $ENV{TEST_PGPORT} = $bouncer->port;
    local $ENV{TEST_POOLED} = 1;
    my $status = system "$ENV{TEST_STAGE}/unit/$program";
    print STDERR $bouncer->log if $status;
    return $status ? 1 : 0;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local $?;
    kill TERM => $self->{pid};      # at once; INT would wait for clients
    waitpid $self->{pid}, 0;
    remove_tree($self->{dir});
}

1;
