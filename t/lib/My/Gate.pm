# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Gate;

# What a run must not leave behind, whatever its tests say: t/TEST asks this after every run. Each
# function returns sins, a line of text each; t/source/gate.t shows that it does.

use strict;
use warnings FATAL => 'all';
use File::Find ();
use Time::HiRes ();

sub lines_of {
    my $file = shift;
    open my $fh, '<', $file or return ();
    chomp(my @lines = <$fh>);
    return @lines;
}

sub files_below {
    my ($folder, $match) = @_;
    my @found;
    File::Find::find({ no_chdir => 1, wanted => sub {
        push @found, $_ if m{/$match$} && -f;
    } }, $folder) if -d $folder;
    return sort @found;
}

# True as soon as the code is, within so many seconds.
sub soon {
    my ($seconds, $code) = @_;
    my $end = Time::HiRes::time() + $seconds;
    my $got;
    until (($got = $code->()) || Time::HiRes::time() > $end) {
        select undef, undef, undef, 0.02;
    }
    return $got;
}

# Nobody can announce these: a report of the sanitizers or of assert(), a full scoreboard, a child
# that did not stop within three seconds. The last is none where a child looks for leaks before it
# ends, which takes longer than that on a machine with other work: that it had to be killed still is.
my $never = qr/runtime error:|\bAssertion\b|AH03490/;
my $slow_stop = qr/AH00045/;

# Stock event's own: the main thread of a child that is ended at once closes the sockets of its workers
# (close_worker_sockets), and a worker may just have given the connection of one back. Where the bad
# access is of a function of APR for sockets, and no code but event's lies between it and main().
sub is_events_own {
    my @lines = lines_of(shift);
    my $stack = '';
    for (@lines) {
        if (/^ +#\d+ 0x[0-9a-f]+ +(.*)/) { $stack .= "$1\n" }
        elsif ($stack) { last }
    }
    my $apr = qr/in apr_(?:os_sock_get|socket_timeout_set|socket_close|pool_cleanup_run) .*\n/;
    return grep({ /AddressSanitizer: (?:heap-use-after-free|SEGV) / } @lines)
        && $stack =~ m{^$apr+(?:.*/mod_mpm_event\.so\+.*\n)+in ap_run_mpm .*\nin main };
}

# A child that dies of a signal is replaced and its suite stays green: read the logs. So are lines
# of level warn and worse. Either is none when a test announced it (My::Log::expect_error and
# expect_warn). All error logs below the folder count: some suites have servers of their own.
sub log_sins {
    my ($logs, %opt) = @_;
    my @sins = map { "sanitizer report $_" } grep { !is_events_own($_) } files_below($logs, qr/(?:a|t|ub|l)san\.\d+/);
    my @errors = lines_of("$logs/expected_error");
    my @warnings = lines_of("$logs/expected_warn");
    for my $file (files_below($logs, qr/error_log/), files_below($logs, qr/vg\.\d+/)) {
        my $name = $file =~ s{^\Q$logs\E/}{}r;
        for my $line (lines_of($file)) {
            next if $opt{patient} && $line =~ $slow_stop;
            my $expected = $line =~ /:(?:emerg|alert|crit|error)\]|exit signal/ ? \@errors
                : $line =~ /:warn\]/ ? \@warnings : undef;
            push @sins, "$name: $line"
                if $line =~ $never || $line =~ $slow_stop || $line =~ /ERROR SUMMARY: [1-9]/
                || ($expected && !grep { $line =~ /$_/ } @$expected);
        }
    }
    return @sins;
}

sub core_sins {
    my $stage = shift;
    return map { "core file $_" } files_below($stage, qr/(?:vg)?core(?:\.\d+)?/);
}

# Gauges that must come to 0 once nobody asks for anything. $read->() returns name and value pairs.
sub gauge_sins {
    my ($within, $read) = @_;
    my %gauge;
    return () if soon($within, sub {
        %gauge = eval { $read->() } or %gauge = ('no gauges' => $@ || 'none');
        return !grep { $_ ne '0' } values %gauge;
    });
    return map { "left when the tests were over: $_ $gauge{$_}" } grep { $gauge{$_} ne '0' } sort keys %gauge;
}

# A zombie whose parent does not care has ended as well.
sub has_ended {
    my ($stat) = lines_of("/proc/$_[0]/stat");
    return !defined $stat || $stat =~ /\) Z /;
}

sub family {
    my @pids = @_;
    for (my $i = 0; $i < @pids; $i++) {
        push @pids, grep { /^\d+$/ } split ' ', qx(ps -o pid= --ppid $pids[$i]);
    }
    return @pids;
}

# Stops a server: by TERM, until the last of its processes is gone. What is not gone in time is killed.
sub stop_sins {
    my ($limit, $pid) = @_;
    my @family = family($pid);
    my $began = Time::HiRes::time();
    kill TERM => $pid;
    my $gone = sub { return !grep { !has_ended($_) } @family };
    return () if soon($limit, $gone);
    return () if Time::HiRes::time() - $began < $limit;
    my @late = grep { !has_ended($_) } @family;
    kill KILL => @late;
    soon(5, $gone);
    return "the server took more than $limit s to stop: " . scalar(@late) . ' of ' . scalar(@family)
        . ' processes were still there';
}

# Shared memory, semaphores and queues of a user: name => whether no living process holds it.
sub ipc {
    my $uid = shift;
    my %held;
    my %mapped = map { $_ => 1 } map { m{(/dev/shm/\S+)} ? $1 : () } map { lines_of($_) } glob '/proc/[0-9]*/maps';
    for (glob '/dev/shm/*') {
        $held{$_} = !$mapped{$_} if ((lstat)[4] // -1) == $uid;
    }
    my %id = (shm => 'shmid', sem => 'semid', msg => 'msqid');
    for my $kind (keys %id) {
        my ($head, @rows) = lines_of("/proc/sysvipc/$kind");
        my @names = split ' ', $head // '';
        for my $line (@rows) {
            my %row;
            @row{@names} = split ' ', $line;
            my $owner = $kind eq 'shm' ? $row{cpid} : $kind eq 'msg' ? $row{lspid} : last_user($row{semid});
            $held{"$kind $row{$id{$kind}}"} = !$row{nattch} && has_ended($owner || 0) if $row{uid} == $uid;
        }
    }
    return \%held;
}

# The process that used a set of semaphores last.
sub last_user { return semctl($_[0], 0, 11, 0) || 0 }       # 11: GETPID

# What is there since a snapshot, and nobody's; what nobody holds for a moment only is looked at again.
sub ipc_sins {
    my ($within, $uid, $before) = @_;
    my @new;
    soon($within, sub {
        my $now = ipc($uid);
        @new = grep { $now->{$_} && !exists $before->{$_} } sort keys %$now;
        return !@new;
    });
    return map { "left on the machine: $_" } @new;
}

# Other runs on this machine: they kill servers too, whose memory is nobody's until the next starts.
sub other_runs {
    my $stage = shift;
    my %other;
    for (glob '/proc/[0-9]*/environ') {
        open my $fh, '<', $_ or next;
        local $/;
        $other{$1} = 1 if (<$fh> // '') =~ /(?:^|\0)TEST_STAGE=([^\0]+)/ && $1 ne $stage;
    }
    return sort keys %other;
}

1;
