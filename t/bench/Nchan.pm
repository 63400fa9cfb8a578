# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Nchan;

# nginx with nchan, as Debian has them, for the benches: in the foreground, a child of ours, with a
# configuration and files of its own; the system's nginx is not touched.
#
#   my $nchan = Nchan->start('nchan', workers => 4);  $nchan->port;  $nchan->pid;  $nchan->stop;

use strict;
use warnings FATAL => 'all';
use IO::Socket::INET ();
use My::Server ();
use POSIX ();
use Time::HiRes qw(sleep time);

my $module = '/usr/lib/nginx/modules/ngx_nchan_module.so';

# Messages are kept as orgscale keeps events: 200 an organisation, for 120 seconds; a poll waits 25.
sub configuration {
    my ($dir, $port, $workers) = @_;
    my $temp = join '', map { "    ${_}_temp_path $dir/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi);
    return <<"CONF";
daemon off;
worker_processes $workers;
worker_rlimit_nofile 20000;
pid $dir/nginx.pid;
error_log $dir/error_log warn;
load_module $module;
events {
    worker_connections 19900;
}
http {
    access_log off;
$temp    keepalive_timeout 60s;
    keepalive_requests 1000000000;
    nchan_shared_memory_size 256M;
    server {
        listen 127.0.0.1:$port backlog=4096;
        location ~ ^/sub/(\\d+)\$ {
            nchan_subscriber longpoll;
            nchan_channel_id \$1;
            nchan_subscriber_timeout 25;
            nchan_subscriber_first_message oldest;
        }
        location ~ ^/pub/(\\d+)\$ {
            nchan_publisher http;
            nchan_channel_id \$1;
            nchan_message_buffer_length 200;
            nchan_message_timeout 120s;
        }
    }
}
CONF
}

sub start {
    my ($class, $name, %how) = @_;
    -e $module or die "$module is missing: make bench installs it\n";
    my $dir = "$ENV{TEST_STAGE}/t/logs/$name";
    mkdir $dir or die "$dir: $!\n";
    my $self = bless { dir => $dir, port => My::Server::free_port(), owner => $$ }, $class;
    open my $conf, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!\n";
    print $conf configuration($dir, $self->{port}, $how{workers});
    close $conf or die "$dir/nginx.conf: $!\n";
    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        open STDOUT, '>', "$dir/output";
        open STDERR, '>&', \*STDOUT;
        exec 'nginx', '-c', "$dir/nginx.conf", '-e', "$dir/error_log", '-p', $dir or POSIX::_exit(127);
    }
    my $end = time + 30;
    until (IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 1)) {
        die "nginx did not start:\n" . My::Server::slurp("$dir/output")
            if time > $end || waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
        sleep 0.02;
    }
    return $self;
}

sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }
sub errors { return My::Server::slurp("$_[0]{dir}/error_log") }

sub stop {
    my $self = shift;
    my $pid = delete $self->{pid} // return;
    kill TERM => $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY {
    my $self = shift;
    local ($?, $@);
    $self->stop if $self->{owner} == $$;
    return;
}

1;
