# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F02, F03 for mod_quota: a child is killed, crashes, or is stopped at each place of its critical sections in
# turn. Nobody else waits longer than a lock's time, limits hold, and no stream stays counted.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$ENV{TEST_STAGE}/t/quota", "$ENV{TEST_STAGE}/t/realtime";
use Apache::Test ();
use IO::Select ();
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use My::Server;
use Quota qw(caller_of counts site);
use Rt qw(answer wait_for);
use Test::More;
use Time::HiRes qw(time);

# With a margin for a loaded machine: a lock is waited for 100 ms, and a request takes one of them
my $within = 5;

expect_error('AH00052: child pid \d+ exit signal (?:Killed|Segmentation fault)', 'AH00050', 'AH00051');
# the parent's word on so many deaths, and what passes while a lock's holder stands still
expect_warn('AH1039[23]', 'OG1106');
my $stage = $ENV{TEST_STAGE};
my $hooks = My::Hooks->new;
my $httpd = My::Server->new('quota_locks', mpm => <<'MPM', lines => "DocumentRoot $stage/t/tenant/docs\n" . site(<<'CONF') . <<'STREAMS')->start(env => $hooks->env);
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    32
MaxSpareThreads    64
ThreadsPerChild    8
ServerLimit        12
</IfModule>
MPM
    QuotaPolicy    write user 5/h
    QuotaPolicy    write org 1000/h
    QuotaPolicy    read user 5/h
    QuotaPolicy    stream user 2
    QuotaPolicy    stream org 1000
CONF
<Location /streams>
    SetHandler     realtime-subscribe
    RealtimeDomain quota
</Location>
STREAMS
$Rt::address = '127.0.0.1:' . ($Quota::port = $httpd->port);

sub send_by {
    my ($org, $method, $target, @more) = @_;
    return Rt::ask($method, $target, undef, Authorization => caller_of($org, 1), @more);
}
sub write_by { return send_by($_[0], 'POST', '/x') }
sub poll_by { return send_by($_[0], 'GET', "/streams?wait=$_[1]") }
sub status_of { return (answer($_[0], $within) // { status => 'none' })->{status} }

# An answer, unless the crash point struck: then nobody may be left to give it
sub until_struck {
    my $socket = shift;
    wait_for(2, sub { $hooks->struck || IO::Select->new($socket)->can_read(0) });
    return $hooks->struck ? undef : answer($socket, $within);
}

# Of its connections, too: none is accepted by who will not answer it
sub is_dead {
    open my $stat, '<', "/proc/$_[0]/stat" or return 1;
    return (<$stat> // 'Z') =~ /\) Z|^Z$/;
}

my $tag = do {
    my $head = answer(send_by(7799, 'GET', '/page.html'))->{head};
    $head =~ /^ETag: (.*)\r$/m ? $1 : die $head;
};
my %operation = (
    'a write'       => sub { until_struck(write_by(shift)) },
    'a 304'         => sub { until_struck(send_by(shift, 'GET', '/page.html', 'If-None-Match' => $tag)) },
    'a poll'        => sub { until_struck(poll_by(shift, 0)) },
);

my $org = 7800;
for my $signal (qw(KILL SEGV STOP)) {
    for my $name (sort keys %operation) {
        my $struck = 0;
        for my $nth (1 .. 100) {
            my $what = "SIG$signal at place $nth of $name";
            $org++;
            $hooks->arm($nth, $signal);
            $operation{$name}->($org);
            my $victim = $hooks->struck;
            $hooks->disarm;
            last unless $victim;
            $struck++;
            $signal eq 'STOP' || wait_for(10, sub { is_dead($victim) }) or die "$what: it lives";
            # others, of that caller and of another: each is answered by its deadline
            my $began = time;
            my @got = map { status_of($_) } write_by($org), write_by($org + 10_000), poll_by($org, 0), poll_by($org + 10_000, 0);
            my $took = time - $began;
            is join(' ', grep { !/^(?:404|200|429)$/ } @got), '', "$what: others are served: @got";
            cmp_ok $took, '<', 2 * $within, "$what: in time";
            kill CONT => $victim if $signal eq 'STOP';
            # the limit holds: five writes less what was spent, and what a death may have kept or lost
            my @now = map { status_of(write_by($org)) } 1 .. 6;
            my $let = grep { $_ == 404 } @now;
            ok $let >= 3 && $let <= 5 && $now[-1] == 429, "$what: then the limit holds: @now";
        }
        cmp_ok $struck, '>=', 4, "$name: $struck places for SIG$signal";
    }
}
ok wait_for(20, sub { counts()->{Streams} == 0 }), 'in the end no stream is counted' or diag counts()->{Streams};
my @held = map { poll_by(9999, 20) } 1 .. 2;
ok wait_for(10, sub { counts()->{Streams} == 2 }), 'two of a user can be had';
is status_of(poll_by(9999, 0)), 429, 'and no third';
close $_ for @held;

my ($status, $took) = $httpd->stop;
is $status, 0, 'the server stops as it should';
cmp_ok $took, '<', 10, 'in time';
done_testing;
