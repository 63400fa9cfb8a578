# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# orgscale beside nchan, measured by the same client in the same run, with tokens checked here and no
# authentication there. BENCH_POLLS, BENCH_SECONDS, BENCH_ROUNDS.
use strict;
use warnings FATAL => 'all';
use My::Load qw(pollload realtime_server setting);
use Nchan ();

my $polls = setting(BENCH_POLLS => 50_000);
my $seconds = setting(BENCH_SECONDS => 20);
my $rounds = setting(BENCH_ROUNDS => 3);

# One server, fresh, and one measurement. nchan has as many workers as it needs: two for two cores;
# four where 20,000 open files a process ask for it.
sub measure {
    my ($who, $name, %load) = @_;
    print "\n-- $who, $name\n";
    my $server = $who eq 'nchan' ? Nchan->start("$who-$name", workers => $load{polls} > 30_000 ? 4 : 2)
                                 : realtime_server("$who-$name");
    my $got = pollload(port => $server->port, pid => $server->pid, nchan => $who eq 'nchan', %load);
    $server->stop;
    my @log = grep { !/\bnotice\]/ } split /\n/, $server->errors;
    print scalar @log, " lines in its log, the last one: $log[-1]\n" if @log;
    return $got;
}

# In turn, so that what else the machine does meets both; the median of each number.
sub both {
    my ($name, $times, %load) = @_;
    my (%runs, @median);
    for my $n (1 .. $times) {
        push @{ $runs{$_} }, measure($_, "$name-$n", %load) for qw(orgscale nchan);
    }
    for my $who (qw(orgscale nchan)) {
        my %middle;
        for my $key (keys %{ $runs{$who}[0] }) {
            my @sorted = sort { $a <=> $b } map { $_->{$key} } @{ $runs{$who} };
            $middle{$key} = $sorted[$#sorted / 2];
        }
        # these in none of the rounds
        for my $key (qw(lost errors)) {
            $middle{$key} = 0;
            $middle{$key} += $_->{$key} for @{ $runs{$who} };
        }
        push @median, \%middle;
    }
    return @median;
}

# Parked as fast as it goes, all end their wait at once 25 seconds later: enough time to look at a server
# that has nothing to do. Opened over 25 seconds, they end evenly, while events are published.
my ($idle, $idle_other) = both('idle', 1, polls => $polls, orgs => $polls, rate => 500, seconds => 1, idle => 5);
my ($many, $other) = both('many', $rounds, polls => $polls, orgs => $polls, rate => 500, seconds => $seconds, ramp => 25);
my ($one, $beside) = both('one', $rounds, polls => 1000, orgs => 1, rate => 10, seconds => $seconds);

my $missed = 0;

# What, ours, theirs; then the most that ours may be, and the most that it should be one day.
sub row {
    my ($what, $is, $theirs, $most, $stretch) = @_;
    printf "%-34s %10.2f %10s %7s  %-11s %-4s  %-11s %s\n", $what, $is, $theirs // '-',
        ($theirs && $theirs > 0 ? sprintf('%.2f', $is / $theirs) : '-'), map { defined $_
        ? (sprintf('<= %.2f', $_), $is <= $_ ? 'yes' : 'NO') : ('-', '-') } $most, $stretch;
    $missed++ if defined $most && $is > $most;
    return;
}

printf "\n%-34s %10s %10s %7s  %-11s %-4s  %-11s %s\n", 'beside nchan 1.3.6', 'orgscale', 'nchan', 'ratio',
    'target', 'met', 'stretch', 'met';
my $size = "$polls polls, $polls orgs";
row("$size: lost", $many->{lost}, $other->{lost}, 0);
row('  errors', $many->{errors}, $other->{errors}, 0);
row('  p50 ms', $many->{p50_ms}, $other->{p50_ms}, undef, $other->{p50_ms});
row('  p95 ms', $many->{p95_ms}, $other->{p95_ms}, 50);
row('  p99 ms', $many->{p99_ms}, $other->{p99_ms}, $other->{p99_ms});
row('  KiB a parked poll', $idle->{kib_per_poll}, $idle_other->{kib_per_poll}, 22, 15);
row('  KiB, once all have had answers', $many->{kib_per_poll_at_end}, $other->{kib_per_poll_at_end}, 22, 15);
row('  idle CPU, % of a core', $idle->{idle_cpu_percent}, $idle_other->{idle_cpu_percent}, 3, 1);
row('1 org, 1000 polls, 10/s: lost', $one->{lost}, $beside->{lost}, 0);
row("  $_ ms", $one->{"${_}_ms"}, $beside->{"${_}_ms"}, 1.5 * $beside->{"${_}_ms"}, $beside->{"${_}_ms"}) for qw(p50 p99);
row('  server CPU us a delivery', $one->{cpu_us_per_delivery}, $beside->{cpu_us_per_delivery},
    2.5 * $beside->{cpu_us_per_delivery}, 1.5 * $beside->{cpu_us_per_delivery});
print $missed ? "\n$missed targets missed\n" : "\nall targets met\n";
exit($missed ? 1 : 0);
