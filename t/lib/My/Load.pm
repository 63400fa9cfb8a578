# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Load;

# What the drivers of t/load and t/bench share: the server's shape for many polls, tokens by the
# thousand, t/load/pollload, and verdicts.
#
#   my $httpd = realtime_server('gate');                                   My::Server, started
#   my $got = pollload(port => $httpd->port, pid => $httpd->pid, polls => 20, orgs => 5);
#   $got->{lost}, $got->{p95_ms} …                                         its key=value lines
#   my $run = start_pollload(…); …; $got = $run->result(stop => 1);        beside something else
#   verdict('nothing lost', $got->{lost} == 0, $got->{lost});  exit verdicts();

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use My::Server ();
use My::Token ();
our @EXPORT_OK = qw(pollload realtime_server setting start_pollload tokens verdict verdicts);

my $stage = $ENV{TEST_STAGE};

# A number from the environment: LOAD_POLLS and so on.
sub setting {
    my ($name, $default) = @_;
    my $value = $ENV{$name} // '';
    return $default if $value eq '';
    $value =~ /^[1-9]\d{0,8}$/ or die qq($name: expected a number above 0, not "$value"\n);
    return $value;
}

# 50,000 polls in five children of eight threads: each child has 19,208 connections, a third of them
# for others than polls, and 20,000 open files. ServerLimit has room for the generations that end.
my $mpm = <<'CONF';
StartServers        5
ServerLimit         16
ThreadsPerChild     8
ThreadLimit         8
MaxRequestWorkers   40
MinSpareThreads     1
MaxSpareThreads     40
AsyncRequestWorkerFactor 2400
ListenBacklog       4096
CONF

# Nothing is logged of a request, nor is it in the server beside.
my $lines = <<'CONF';
Timeout             60
KeepAlive           On
KeepAliveTimeout    60
MaxKeepAliveRequests 0
CONF

# The server that is measured, with what it needs of Debian's modules and no more. LOAD_PARK: how.
sub realtime_server {
    my ($name, %site) = @_;
    my $park = $ENV{LOAD_PARK} || 'owned';
    my $httpd = My::Server->new($name, realtime => 1, mpm => $mpm, log => "LogLevel warn\n", lines => "${lines}RealtimePark $park\n", %site);
    return $httpd->start;
}

# A file of "org token" lines for organisations 1 to n, valid for a day. Signed by t/load/sign_lines:
# My::Token starts openssl for each.
sub tokens {
    my $orgs = shift;
    my $file = "$stage/t/logs/tokens.$orgs";
    return $file if -s $file;
    my $head = My::Token::b64(My::Token::json({ alg => 'EdDSA', typ => 'JWT', kid => 'EdDSA' }));
    my @unsigned = map {
        my $claims = My::Token::claims(orgId => "$_", sub => "$_", exp => time + 86_400);
        "$head." . My::Token::b64(My::Token::json($claims));
    } 1 .. $orgs;
    my $in = spew("$file.unsigned", map { "$_\n" } @unsigned);
    my $key = My::Token::key_file('EdDSA');
    my @signatures = split /\n/, `$stage/unit/sign_lines $key < $in`;
    $? == 0 && @signatures == $orgs or die "sign_lines: status $?\n";
    return spew($file, map { $_ + 1 . " $unsigned[$_].$signatures[$_]\n" } 0 .. $orgs - 1);
}

sub spew {
    my ($file, @text) = @_;
    open my $fh, '>', $file or die "$file: $!\n";
    print $fh @text;
    close $fh or die "$file: $!\n";
    return $file;
}

# Starts the client: port, pid (of the server), polls, orgs, rate, seconds, idle, wait, drain,
# ramp, processes, nchan => 1. Its output goes where ours goes.
sub start_pollload {
    my %what = @_;
    my @how = ('-p', $what{port}, '-n', $what{polls}, '-o', $what{orgs}, '-r', $what{rate} // 10,
        '-s', $what{seconds} // 10, '-i', $what{idle} // 0, '-w', $what{wait} // 25, '-d', $what{drain} // 30,
        '-R', $what{ramp} // 0,
        '-c', $what{processes} // ($what{polls} > 2000 ? 4 : 1), ($what{pid} ? ('-S', $what{pid}) : ()),
        ($what{nchan} ? ('-m', 'nchan') : ('-t', tokens($what{orgs}))));
    pipe my $from, my $to or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>&', $to;
        close $from;
        exec "$stage/unit/pollload", @how or die "pollload: $!\n";
    }
    close $to;
    # each line as it comes: the first says that all are parked
    my $self = bless { pid => $pid, from => $from, quiet => $what{quiet}, owner => $$ }, __PACKAGE__;
    $self->{first} = <$from> // die "pollload ended at once\n";
    print $self->{first} unless $what{quiet};
    return $self;
}

# What it found, when it has ended; stop => 1 has it end.
sub result {
    my ($self, %how) = @_;
    kill TERM => $self->{pid} if $how{stop};
    my %got;
    ($got{parked}) = $self->{first} =~ /^parked (\d+)/;
    my $from = $self->{from};
    while (my $line = <$from>) {
        if ($line =~ /^(\w+)=(\S+)$/) { $got{$1} = $2 }
        print $line unless $self->{quiet};
    }
    waitpid delete $self->{pid}, 0;
    $? == 0 && defined $got{lost} or die "pollload: status $?\n";
    return \%got;
}

sub DESTROY {
    my $self = shift;
    kill KILL => $self->{pid} if $self->{pid} && $self->{owner} == $$;
    return;
}

sub pollload { return start_pollload(@_)->result }

my $failed = 0;

# Says whether a demand is met, and remembers when it is not.
sub verdict {
    my ($demand, $met, $is) = @_;
    printf "%-8s %-58s %s\n", $met ? 'ok' : 'FAILED', $demand, $is;
    $failed++ unless $met;
    return $met;
}

# The exit status.
sub verdicts { return $failed ? 1 : 0 }

1;
