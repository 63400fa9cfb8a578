# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Server;

# An httpd of a test's own, to be reloaded, broken, stopped and killed without harm to the suite's.
# It runs in the foreground as this process's child, on a free port, and ends with the object, at
# the latest with the test. Its files are in t/logs/NAME, where t/TEST looks for what went wrong.
#
#   my $httpd = My::Server->new('reload', realtime => 1, dsn => $pg->host, lines => "Timeout 5\n");
#   $httpd->start;  $httpd->port;  $httpd->children;  $httpd->files;  $httpd->errors($mark)
#   $httpd->configure(lines => …);  $httpd->graceful->renewed;  $httpd->restart;
#   my ($status, $seconds) = $httpd->stop('TERM');
#
# realtime => 1:  /rt/a/subscribe, publish, metrics (Rt.pm)   dsn => HOST:  /v1/finance/
# load => TEXT:   in place of the suite's LoadModules         mpm => TEXT:  in place of two children
# log => TEXT:    in place of an access log and level info

use strict;
use warnings FATAL => 'all';
use IO::Select ();
use IO::Socket::INET ();
use My::Log qw(expect_error);
use POSIX ();
use Time::HiRes ();

my $stage = $ENV{TEST_STAGE};

sub new {
    my ($class, $name, %site) = @_;
    my $dir = "$stage/t/logs/$name";
    mkdir $dir or die "$dir: $!";
    my $self = bless { dir => $dir, owner => $$, port => free_port() }, $class;
    return $self->configure(%site);
}

# Between here and httpd's bind somebody else might take it; ports of this range are handed out to
# clients in turn, so not soon.
sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    return $socket->sockport;
}

sub port { return $_[0]{port} }
sub dir  { return $_[0]{dir} }
sub pid  { return $_[0]{pid} }

my $mpm = <<'CONF';
StartServers       2
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    1
MaxSpareThreads    64
ThreadsPerChild    16
ServerLimit        8
</IfModule>
<IfModule mpm_prefork_module>
StartServers       12
MaxRequestWorkers  30
MaxSpareServers    30
</IfModule>
CONF

# mpm => for thousands of polls on event: two children of eight threads, of so many connections each.
sub mpm_for_polls {
    my $factor = shift;
    return <<"CONF";
StartServers        2
ServerLimit         4
ThreadsPerChild     8
MaxRequestWorkers   16
MinSpareThreads     1
MaxSpareThreads     16
AsyncRequestWorkerFactor $factor
CONF
}

my $identity = <<"CONF";
    AuthType       TenantJWT
    AuthName       orgscale
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    TenantProblem  On
    Require        valid-user
CONF

# One section a location: each that a request is in costs it a merge of all modules' settings.
my $realtime = <<"CONF";
<Location /rt/a/subscribe>
$identity
    RealtimeDomain rt_a
    SetHandler     realtime-subscribe
</Location>
<Location /rt/a/metrics>
$identity
    RealtimeDomain rt_a
    SetHandler     realtime-metrics
</Location>
<Location /rt/a/publish>
    RealtimeDomain rt_a
    Require        local
    SetHandler     realtime-publish
</Location>
CONF

sub finance {
    my $host = shift;
    return <<"CONF";
FinanceDSN    "host=$host user=orgscale_app dbname=orgscale"
FinanceJobDSN "host=$host user=orgscale_job dbname=orgscale"
<LocationMatch "^(/v1)?/finance/">
$identity
    SetHandler finance
</LocationMatch>
CONF
}

# Writes httpd.conf: for the start, or for the next reload.
sub configure {
    my ($self, %site) = @_;
    my ($dir, $port) = @$self{qw(dir port)};
    open my $fh, '>', "$dir/httpd.conf" or die "$dir/httpd.conf: $!";
    print $fh $site{load} // "Include $stage/load.conf\n", <<"CONF";
ServerRoot        $stage/t
ServerName        localhost
Listen            127.0.0.1:$port
PidFile           $dir/httpd.pid
DefaultRuntimeDir $dir
ErrorLog          $dir/error_log
TypesConfig       /etc/mime.types
DocumentRoot      $stage/t/htdocs
# as in t/conf/httpd.conf.in
<IfDefine POOL_DEBUG>
    <IfModule proxy_module>
        ProxyAddHeaders Off
    </IfModule>
</IfDefine>
CONF
    print $fh $site{log} // "LogLevel info\nCustomLog $dir/access_log \"%P %t \\\"%r\\\" %>s %D\"\n";
    print $fh $site{mpm} // $mpm, "<Directory />\n    Require all granted\n    AllowOverride None\n</Directory>\n";
    print $fh $realtime if $site{realtime};
    print $fh finance($site{dsn}) if defined $site{dsn};
    print $fh $site{lines} // '';
    close $fh or die "$dir/httpd.conf: $!";
    return $self;
}

# Which httpd the suite runs, and with which -D of t/TEST -defines. t/load says so itself, and needs no
# Apache::Test.
sub suites_httpd {
    require Apache::TestConfig;
    my $vars = Apache::TestConfig->thaw->{vars};
    return ($vars->{httpd}, map { "-D$_" } split ' ', $vars->{defines} // '');
}

# How much longer all may take than in a build for use: t/TEST sets the first for each sanitizer.
sub slowness { return $ENV{ASAN_OPTIONS} || $ENV{TEST_WRAP} ? 5 : 1 }

# Returns once it answers; dies with its log when it does not. $opt{env}: for its environment;
# $opt{files}: how many it may have open, as a process. $opt{unwrapped}: not under TEST_WRAP, as is one with
# few files, of which valgrind takes its share.
sub start {
    my ($self, %opt) = @_;
    my $dir = $self->{dir};
    my @httpd = $ENV{TEST_HTTPD} // suites_httpd();
    $httpd[0] = $ENV{TEST_UNWRAPPED} // $httpd[0] if $opt{files} || $opt{unwrapped};
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        setpgrp;        # prefork's parent ends its children by ending its group
        %ENV = (%ENV, %{ $opt{env} // {} });
        open STDOUT, '>>', "$dir/output";
        open STDERR, '>&', \*STDOUT;
        exec +($opt{files} ? ('prlimit', "--nofile=$opt{files}") : ()), @httpd, '-f', "$dir/httpd.conf", '-DFOREGROUND'
            or POSIX::_exit(127);
    }
    my $end = Time::HiRes::time() + 60;
    until ($self->answers) {
        die "httpd did not start\n" . $self->errors . $self->output
            if Time::HiRes::time() > $end || $self->has_ended;
        select undef, undef, undef, 0.02;
    }
    return $self;
}

# An environment for start() that looks for no leaks, for a server with modules of others: what they
# keep in httpd's pools LeakSanitizer can't see, and whose it is can't be told.
sub without_leak_check {
    return $ENV{ASAN_OPTIONS} ? { ASAN_OPTIONS => "$ENV{ASAN_OPTIONS}:detect_leaks=0" } : {};
}

# Lets this process, and the servers that it starts, have so many files open. False where the limit of the
# system is below.
sub want_files {
    my $most = int shift;
    my ($soft, $hard) = split ' ', `prlimit --pid $$ --nofile --raw --noheadings -o SOFT,HARD`;
    return 1 if $soft eq 'unlimited' || $soft >= $most;
    return ($hard eq 'unlimited' || $hard >= $most) && system("prlimit --pid $$ --nofile=$most:") == 0;
}

# Where httpd's own modules are, for a LoadModule of one that the suite does not have.
sub stock {
    my ($stock) = slurp("$stage/load.conf") =~ m{^LoadModule mpm_\w+_module (\S+)/mod_mpm}m;
    return $stock;
}

# Lines that have this server answer over TLS on another port as well, with a certificate of their own.
sub tls {
    my ($self, $port) = @_;
    my ($dir, $stock) = ($self->{dir}, stock());
    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $dir/key.pem -out $dir/cert.pem -batch 2>$dir/openssl") == 0
        or die 'openssl req';
    return <<"CONF";
LoadModule ssl_module $stock/mod_ssl.so
LogLevel ssl:error
Listen 127.0.0.1:$port
<VirtualHost 127.0.0.1:$port>
    SSLEngine on
    SSLCertificateFile $dir/cert.pem
    SSLCertificateKeyFile $dir/key.pem
</VirtualHost>
CONF
}

# Whether somebody accepts connections.
sub answers {
    my $self = shift;
    return !!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 1);
}

sub has_ended {
    my $self = shift;
    return 1 if !$self->{pid};
    return 0 if waitpid($self->{pid}, POSIX::WNOHANG()) == 0;
    $self->{status} = $?;
    delete $self->{pid};
    return 1;
}

# Processes whose parent is the server.
sub children {
    my $self = shift;
    return () unless $self->{pid};
    open my $ps, '-|', 'ps', '-o', 'pid=', '--ppid', $self->{pid} or die "ps: $!";
    my @pids = map { $_ + 0 } <$ps>;
    close $ps;
    return @pids;
}

# How many files its children have open, or how many whose name is like that.
sub files {
    my ($self, $like) = @_;
    my @open = map { glob "/proc/$_/fd/*" } $self->children;
    return scalar grep { !$like || (readlink($_) // '') =~ $like } @open;
}

# Signals the parent, and waits until what it says for it stands in the log. It starts no child between
# both: whoever is there before the line is has the configuration of before.
sub reload {
    my ($self, $signal) = @_;
    my $mark = $self->mark;
    my @now = $self->children;
    $self->{before} = [@now];
    kill $signal => $self->{pid} or die "kill: $!";
    my $end = Time::HiRes::time() + 30;
    while ($self->errors($mark) !~ /resuming normal operations/) {
        die "no reload\n" . $self->errors($mark) if Time::HiRes::time() > $end || $self->has_ended;
        select undef, undef, undef, 0.01;
        $self->{before} = [@now];
        @now = $self->children;
    }
    return $self;
}

sub graceful { return $_[0]->reload('USR1') }
sub restart  { announce_hard_end(); return $_[0]->reload('HUP') }

# Waits until a reload has come to all: who was there before it accepts connections until it has heard of
# it, and answers them as configured before.
sub renewed {
    my $self = shift;
    my $end = Time::HiRes::time() + 60;
    while (my @left = grep { my $pid = $_; grep { $_ == $pid } @{ $self->{before} } } $self->children) {
        die "@left did not end\n" . $self->errors if Time::HiRes::time() > $end;
        select undef, undef, undef, 0.02;
    }
    return $self;
}

# A child that is ended at once closes the sockets of its workers, and event's complain of that. Rarely
# one belongs to a connection that ended this moment, whose memory APR has just given back: stock event
# dies in apr_os_sock_get then. A crash of ours has the suite under ASan against it, which says where.
sub announce_hard_end {
    return expect_error('AH0(?:3092|3093|3465): process_(?:socket|lingering_close): apr_pollset_add failure', 'AH10503',
        $ENV{ASAN_OPTIONS} ? () : 'AH00052: child pid \d+ exit signal Segmentation fault');
}

# Ends it; returns wait's status and how long that took. TERM, or WINCH for a graceful stop. $meanwhile is
# called once it has been told: the MPM waits two seconds for a client that does not close when it should.
sub stop {
    my ($self, $signal, $meanwhile) = @_;
    my $began = Time::HiRes::time();
    return ($self->{status}, 0) if $self->has_ended;
    announce_hard_end();
    kill $signal // 'TERM', $self->{pid};
    $meanwhile->() if $meanwhile;
    my $end = $began + 60;
    until ($self->has_ended) {
        if (Time::HiRes::time() > $end) {
            kill KILL => $self->children, $self->{pid};
            die "httpd did not stop\n" . $self->errors;
        }
        select undef, undef, undef, 0.01;
    }
    return ($self->{status}, Time::HiRes::time() - $began);
}

sub mark { return -s "$_[0]{dir}/error_log" || 0 }

# What the error log says behind a mark.
sub errors {
    my ($self, $mark) = @_;
    return slurp("$self->{dir}/error_log", $mark);
}

sub output { return slurp("$_[0]{dir}/output") }

sub slurp {
    my ($file, $mark) = @_;
    open my $fh, '<', $file or return '';
    seek $fh, $mark // 0, 0;
    local $/;
    return scalar(<$fh>) // '';
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local ($?, $@);
    eval { $self->stop };
    return;
}

1;
