# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The gate that every run ends at lets nothing through (My::Gate, testing.md 9).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use My::Gate;
use Test::More;

my $logs = tempdir('gate.XXXXXX', TMPDIR => 1, CLEANUP => 1);

sub spew {
    my ($name, @lines) = @_;
    make_path("$logs/$1") if $name =~ m{(.*)/};
    open my $fh, '>', "$logs/$name" or die "$logs/$name: $!";
    print $fh map { "$_\n" } @lines;
    close $fh;
}

# a line of the error log => how many sins it is: not announced, announced
my @lines = (
    ['[core:notice] [pid 1:tid 2] AH00094: Command line', 0, 0],
    ['[tenant:info] [pid 1:tid 2] an error] in words', 0, 0],
    ['[core:notice] [pid 1:tid 2] AH00051: child pid 7 exit signal Segmentation fault (11), possible coredump in /', 1, 0],
    ['[core:notice] [pid 1:tid 2] AH00052: child pid 7 exit signal Killed (9)', 1, 0],
    ['[finance:warn] [pid 1:tid 2] OG1234: late', 1, 0],
    ['[finance:error] [pid 1:tid 2] OG1234: down', 1, 0],
    ['[finance:crit] [pid 1:tid 2] OG1234: no memory', 1, 0],
    ['[core:emerg] [pid 1:tid 2] AH00020: Configuration Failed, exiting', 1, 0],
    ['[mpm_event:error] [pid 1:tid 2] AH03490: scoreboard is full, not at MaxRequestWorkers', 1, 1],
    ['[core:warn] [pid 1:tid 2] AH00045: child process 7 still did not exit, sending a SIGTERM', 1, 1],
    ["rt_ring.c:1:2: runtime error: signed integer overflow", 1, 1],
    ["apache2: x.c:1: f: Assertion `0' failed.", 1, 1],
);
for my $where ('error_log', 'fault.x/y/error_log') {
    for (@lines) {
        my ($line, $alone, $announced) = @$_;
        spew($where, $line);
        is scalar(My::Gate::log_sins($logs)), $alone, "$where: $line";
        spew("expected_$_", 'AH\d+|OG1234') for qw(error warn);
        is scalar(My::Gate::log_sins($logs)), $announced, 'and announced';
        unlink "$logs/expected_$_" for qw(error warn);
    }
    spew($where);
}
spew('expected_warn', 'OG1234');
spew('error_log', '[finance:error] [pid 1] OG1234: down');
is scalar(My::Gate::log_sins($logs)), 1, 'what is announced as a warning may not be an error';
spew('error_log');
spew('error_log', '[core:warn] [pid 1] AH00045: child process 7 still did not exit, sending a SIGTERM');
is scalar(My::Gate::log_sins($logs, patient => 1)), 0, 'a child that looks for leaks may take its time';
spew('error_log', '[core:error] [pid 1] AH00046: child process 7 still did not exit, sending a SIGKILL');
is scalar(My::Gate::log_sins($logs, patient => 1)), 1, 'but not for ever';
spew('error_log');
for my $name (qw(asan.12 tsan.3 ubsan.4 fault.x/asan.5)) {
    spew($name, 'report');
    is_deeply [My::Gate::log_sins($logs)], ["sanitizer report $logs/$name"], "$name is a sin";
    unlink "$logs/$name";
}
# what stock event does itself is none, as long as nobody else had a part in it
my $event = <<'REPORT';
==9==ERROR: AddressSanitizer: heap-use-after-free on address 0x60700001e348 at pc 0x7f29367cfd7e bp 0x7ffc8ff09ef0 sp 0x7ffc8ff09ee8
READ of size 8 at 0x60700001e348 thread T0
    #0 0x7f29367cfd7d in apr_socket_timeout_set network_io/unix/sockopt.c:86
    #1 0x7f29366380bc  (/usr/lib/apache2/modules/mod_mpm_event.so+0x60bc)
    #2 0x7f2936639506  (/usr/lib/apache2/modules/mod_mpm_event.so+0x7506)
    #3 0x564cd4eda84f in ap_run_mpm (/usr/sbin/apache2+0x4384f)
    #4 0x564cd4ed21c1 in main (/usr/sbin/apache2+0x3b1c1)

freed by thread T32 here:
    #0 0x7f29368b76a8 in __interceptor_free ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp:52
REPORT
my $ours = '    #2 0x7f2936639506 in child_exit rt_bell.c:9 (/stage/modules/mod_realtime_lp.so+0x7506)';
for (['event closes a socket that is gone', 0], ['another kind of error', 1, 'heap-use-after-free', 'heap-buffer-overflow'],
    ['another function', 1, 'apr_socket_timeout_set', 'apr_palloc'], ['code of ours between', 1, qr/^    #2 .*$/m, $ours],
    ['another thread', 1, qr/^    #3 (.*)\n    #4 .*$/m, '    #3 0x7f2936639506 in start_thread nptl/pthread_create.c:442']) {
    my ($name, $sins, $from, $to) = @$_;
    spew('asan.6', defined $from ? $event =~ s/$from/$to/r : $event);
    is scalar(My::Gate::log_sins($logs)), $sins, "a report: $name";
}
unlink "$logs/asan.6";
spew('vg.1', '==1== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 2 from 1)');
is scalar(My::Gate::log_sins($logs)), 0, 'a log of valgrind without errors is none';
spew('vg.1', '==1== ERROR SUMMARY: 2 errors from 1 contexts (suppressed: 0 from 0)');
is scalar(My::Gate::log_sins($logs)), 1, 'one with errors is';

is_deeply [My::Gate::core_sins($logs)], [], 'no core';
spew('fault.x/core.77', 'ELF');
is_deeply [My::Gate::core_sins($logs)], ["core file $logs/fault.x/core.77"], 'a core';

is_deeply [My::Gate::gauge_sins(0, sub { (parked => 0, waiters => 0) })], [], 'gauges at 0';
is_deeply [My::Gate::gauge_sins(0, sub { (parked => 0, waiters => 2) })],
    ['left when the tests were over: waiters 2'], 'a gauge that is not';
like +(My::Gate::gauge_sins(0, sub { die "no answer\n" }))[0], qr/no answer/, 'a server that says nothing';
my $falls = 3;
is_deeply [My::Gate::gauge_sins(5, sub { (parked => $falls ? $falls-- : 0) })], [], 'one that comes to 0 in time';

# A process with a child, both started: TERM ends the first, and the other as $trap says.
sub server {
    my $trap = shift;
    pipe my $ready, my $say or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        local $SIG{CHLD} = 'IGNORE';
        my $child = fork // die "fork: $!";
        $SIG{TERM} = $child ? sub { kill TERM => $child; require POSIX; POSIX::_exit(0) } : $trap;
        syswrite $say, 'x';
        sleep 30;
        require POSIX;
        POSIX::_exit(0);
    }
    sysread $ready, my $got, 1 for 1 .. 2;
    return $pid;
}
$SIG{CHLD} = 'IGNORE';
is_deeply [My::Gate::stop_sins(5, server('DEFAULT'))], [], 'a server that stops';
my @late = My::Gate::stop_sins(0.3, server('IGNORE'));
is_deeply \@late, ['the server took more than 0.3 s to stop: 1 of 2 processes were still there'], 'a child that stays';
$SIG{CHLD} = 'DEFAULT';

# what is left on the machine: made by a process that is gone
my $before = My::Gate::ipc($>);
pipe my $from, my $to or die "pipe: $!";
my $pid = fork // die "fork: $!";
if (!$pid) {
    my $shm = shmget(0, 4096, 0600) // die "shmget: $!";        # 0: IPC_PRIVATE
    my $sem = semget(0, 1, 0600) // die "semget: $!";
    my $msg = msgget(0, 0600) // die "msgget: $!";
    syswrite $to, "$shm $sem $msg\n";
    require POSIX;
    POSIX::_exit(0);
}
chomp(my $ids = <$from>);
waitpid $pid, 0;
my ($shm, $sem, $msg) = split ' ', $ids;
my $file = "/dev/shm/gate.$$";
my $owner = $$;
END {
    remove() if defined $owner && $owner == $$;
}
sub remove {
    unlink $file;
    shmctl($shm, 0, 0);         # 0: IPC_RMID
    semctl($sem, 0, 0, 0);
    msgctl($msg, 0, 0);
    return undef $owner;
}
open my $fh, '>', $file or die "$file: $!";
close $fh;
my %left = map { $_ => 1 } My::Gate::ipc_sins(0, $>, $before);
my %known = map { $_ => 1 } My::Gate::ipc_sins(0, $>, My::Gate::ipc($>));
remove();
for ("shm $shm", "sem $sem", "msg $msg", $file) {
    ok $left{"left on the machine: $_"}, "$_ is seen";
    ok !$known{"left on the machine: $_"}, 'but not when it was there before';
}
is_deeply [grep { /(?:shm $shm|sem $sem|msg $msg|gate\.$$)$/ } My::Gate::ipc_sins(0, $>, $before)], [], 'nor what is gone';

# whose it is can't be said while another run is there
is_deeply [grep { $_ eq '/other/run' } My::Gate::other_runs($ENV{TEST_STAGE})], [], 'no other run of that name';
local $ENV{TEST_STAGE} = '/other/run';
open my $other, '|-', $^X, '-e', '<STDIN>' or die "fork: $!";
ok My::Gate::soon(5, sub { grep { $_ eq '/other/run' } My::Gate::other_runs('/this/run') }), 'another run is seen';
close $other;
is_deeply [grep { $_ eq '/other/run' } My::Gate::other_runs('/this/run')], [], 'until it ends';
done_testing;
