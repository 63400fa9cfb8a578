# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Cost;

# What a request costs a server: CPU microseconds of httpd, and of a database behind it, by what the kernel has
# counted for their processes while a client asked.
#
#   my $cost = Cost->new(requests => 20_000, httpd => $httpd, database => $pg);
#   my ($httpds, $databases) = $cost->kept(8, '/path', '2xx', undef, Name => value, …);
#   exit(Cost::table(\@rows, \@got) ? 1 : 0);

use strict;
use warnings FATAL => 'all';
use My::Server ();
use POSIX qw(_SC_CLK_TCK sysconf);

# httpd: My::Server; database: My::Postgres, or none
sub new { my ($class, %of) = @_; return bless {%of}, $class }

sub url { my ($self, $path) = @_; return 'http://127.0.0.1:' . $self->{httpd}->port . $path }

# Jiffies that a server has had, ended children with it.
sub jiffies {
    my ($parent, @children) = @_;
    my $sum = 0;
    for my $pid ($parent, @children) {
        my $stat = eval { My::Server::slurp("/proc/$pid/stat") } // next;   # it ended: its parent has its time
        my @field = split ' ', $stat =~ s/^.*\) //sr;
        $sum += $_ for @field[11 .. ($pid == $parent ? 14 : 12)];
    }
    return $sum;
}

sub jiffies_now {
    my ($httpd, $pg) = @{ $_[0] }{qw(httpd database)};
    return (jiffies($httpd->pid, $httpd->children), $pg ? jiffies($pg->{pid}, grep { $_ != $pg->{pid} } $pg->processes) : 0);
}

# CPU microseconds a request of httpd, and of the database, for what a client does meanwhile; it says how
# many answers were right.
sub of {
    my ($self, $what, $client) = @_;
    my @before = $self->jiffies_now;
    my $n = $client->();
    $n == $self->{requests} or die "$what: $n of $self->{requests} answers as expected\n";
    my $us = 1e6 / sysconf(_SC_CLK_TCK) / $self->{requests};
    my @after = $self->jiffies_now;
    return map { ($after[$_] - $before[$_]) * $us } 0, 1;
}

# On so many kept connections; right are answers of this status class.
sub kept {
    my ($self, $connections, $path, $class, $body, %with) = @_;
    my @command = ('h2load', '--h1', '-n', $self->{requests}, '-c', $connections, '-t', 1,
        (map { ('-H', "$_: $with{$_}") } sort keys %with), ($body ? ('-d', $body) : ()), $self->url($path));
    return $self->of($path, sub {
        open my $from, '-|', @command or die "h2load: $!\n";
        my $said = do { local $/; <$from> };
        close $from or die "h2load: status $?\n";
        return $said =~ /\b(\d+) $class\b/ ? $1 : 0;
    });
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

# Rows are [what, sub, number of the row beside, ratio that is demanded], the last two maybe none; got are the
# rounds of each. Returns how many miss what is demanded.
sub table {
    my ($rows, $got) = @_;
    my $missed = 0;
    my @cost = map { median(map { $_->[0] } @$_) } @$got;
    printf "%-40s %8s %8s\n", 'server CPU, us a request', 'us', 'ratio';
    for my $n (0 .. $#$rows) {
        my ($what, undef, $beside, $most) = @{ $rows->[$n] };
        my $database = median(map { $_->[1] } @{ $got->[$n] });
        my $ratio = defined $beside ? $cost[$n] / $cost[$beside] : undef;
        printf "%-40s %8.1f %8s  %s\n", $what, $cost[$n], defined $ratio ? sprintf('%.2f', $ratio) : '-',
            !$most ? '' : sprintf '<= %.1f %s', $most, $ratio <= $most ? 'yes' : 'NO';
        printf "%-40s %8.1f\n", '... of PostgreSQL besides', $database if $database > 5;
        $missed++ if $most && $ratio > $most;
    }
    return $missed;
}

1;
