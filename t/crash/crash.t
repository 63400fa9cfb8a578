# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F02, F03: a child is killed, crashes, or is stopped at each place of a critical section in turn.
# Nobody else waits for it, and nobody ever sees half of what it wrote.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use Apache::Test ();
use Digest::SHA qw(sha256_hex);
use IO::Select ();
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use My::Server;
use Rt qw(answer ask caller_of event json_of metrics poll request subscribe wait_for waiters);
use Test::More;
use Time::HiRes ();

# With a margin for a loaded machine: a lock is waited for 100 ms, and a request takes few of them
my $within = 3;

expect_error('AH00052: child pid \d+ exit signal (?:Killed|Segmentation fault)', 'AH00050', 'AH00051');
# the parent's word on so many deaths, and publications while a lock's holder stands still
expect_warn('AH10392', 'OG1511');
my $hooks = My::Hooks->new;
my $httpd = My::Server->new('crash', realtime => 1, lines => "RealtimeEventTTL 60s\n", mpm => <<'CONF')->start(env => $hooks->env);
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    32
MaxSpareThreads    64
ThreadsPerChild    8
ServerLimit        12
</IfModule>
CONF
$Rt::address = '127.0.0.1:' . $httpd->port;

my $coder = JSON::PP->new->canonical;
my (%acknowledged, %sent);
my $count = 0;

# An event whose data tells whether it is whole, on its way
sub publish_to {
    my $org = shift;
    my $id = 'e' . ++$count;
    my $fill = 'x' x ($count * 37 % 900);
    my $body = event($org, eventId => $id, data => { fill => $fill, sum => sha256_hex("$org $id $fill") });
    $sent{$org}{$id} = 1;
    return [ask('POST', '/rt/a/publish', $coder->encode($body), 'Content-Type' => 'application/json'), $org, $id];
}

sub acknowledge {
    my ($answer, $org, $id) = @_;
    $acknowledged{$org}{$id} = 1 if $answer && $answer->{status} == 202;
    return $answer;
}

# Everything of an org is whole, there once, was sent, and holds all that was acknowledged
sub inspect {
    my ($org, $what) = @_;
    my (%seen, @wrong);
    for my $e (@{ subscribe('a', caller_of(org => $org), 'wait=0&limit=200&cursor=earliest')->{events} }) {
        my ($id, $data) = @$e{qw(eventId data)};
        push @wrong, "$id is not what was sent"
            if !$sent{$org}{$id} || $data->{sum} ne sha256_hex("$org $id $data->{fill}");
        push @wrong, "$id twice" if $seen{$id}++;
    }
    push @wrong, map { "$_ is lost" } grep { !$seen{$_} } sort keys %{ $acknowledged{$org} };
    return is "@wrong", '', "$what: all is whole";
}

# A process that was struck accepts connections until it is really gone
sub is_dead {
    my $pid = shift;
    open my $fh, '<', "/proc/$pid/stat" or return 1;
    return (<$fh> // '') =~ /\) [ZX] /;
}

# What others get while a process may hold a lock: an answer, each by its deadline
sub others_are_served {
    my ($org, $what) = @_;
    my @asked = (publish_to($org), publish_to($org + 1000), [poll('a', caller_of(org => $org), 'wait=0')]);
    my @late;
    for (@asked) {
        my ($socket, @whose) = @$_;
        my $answer = answer($socket, $within);
        acknowledge($answer, @whose) if @whose;
        push @late, $answer ? $answer->{status} : 'none' unless $answer && $answer->{status} =~ /^(?:20[02]|503)$/;
    }
    return is "@late", '', "$what: others are served";
}

# Polls in all the children that live are woken, though one that stands still may hold a bell's lock.
# An org whose part of the store it holds can't be asked to show it.
sub others_are_woken {
    my ($org, $what) = @_;
    my @polls = map { poll('a', caller_of(org => $org), 'wait=20') } 1 .. 6;
    my $parked = wait_for(2, sub { (eval { waiters($org) } // 0) == 6 });
    if ($parked) {
        my ($socket, @whose) = @{ publish_to($org) };
        acknowledge(answer($socket, $within), @whose);
    }
    return pass "$what: no others to wake" unless $parked && $acknowledged{$org}{"e$count"};
    is scalar(grep { my $answer = answer($_, $within); $answer && $answer->{body} =~ /"e$count"/ } @polls), 6,
        "$what: others are woken";
}

sub works_again {
    my ($org, $what) = @_;
    ok wait_for(5, sub {
        my $answer = acknowledge(answer($_->[0], $within), @$_[1, 2]) for publish_to($org);
        my $read = eval { subscribe('a', caller_of(org => $org), 'wait=0&cursor=earliest') };
        return $acknowledged{$org}{"e$count"} && $read;
    }), "$what: then it works again";
    return inspect($org, $what);
}

# An answer, unless the crash point struck: then nobody may be left to give it
sub publish_until_struck {
    my ($socket, @whose) = @{ publish_to(shift) };
    wait_for(2, sub { $hooks->struck || IO::Select->new($socket)->can_read(0) });
    return acknowledge($hooks->struck ? undef : answer($socket, $within), @whose);
}

my %operation = (
    'publishing to a known org' => sub { publish_until_struck(shift) },
    'publishing to a new org'   => sub { publish_until_struck(20_000 + $count) },
    'publishing to a poll'      => sub {
        my $org = shift;
        my $poll = poll('a', caller_of(org => $org), 'wait=5');
        wait_for(2, sub { $hooks->struck || eval { waiters($org) } });
        publish_until_struck($org) unless $hooks->struck;
        # it is woken, leaves and answers
        wait_for(2, sub { $hooks->struck || IO::Select->new($poll)->can_read(0) });
    },
    'a newer poll of a tab'     => sub {
        my $org = shift;
        my @tab = (caller_of(org => $org), 'wait=5', 'Realtime-Tab' => 'crash');
        my $older = poll('a', @tab);
        wait_for(2, sub { $hooks->struck || eval { waiters($org) } });
        my $newer = poll('a', @tab);
        # the older one is rung, leaves and answers; then the newer one does
        wait_for(2, sub { $hooks->struck || IO::Select->new($older)->can_read(0) });
        publish_until_struck($org) unless $hooks->struck;
        wait_for(2, sub { $hooks->struck || IO::Select->new($newer)->can_read(0) });
    },
);

my $org = 100;
for my $signal (qw(KILL SEGV STOP)) {
    for my $name (sort keys %operation) {
        my $struck = 0;
        for my $nth (1 .. 200) {
            my $what = "SIG$signal at place $nth of $name";
            $org++;
            acknowledge(answer($_->[0], $within), @$_[1, 2]) for publish_to($org), publish_to($org);
            $hooks->arm($nth, $signal);
            $operation{$name}->($org);
            my $victim = $hooks->struck;
            $hooks->disarm;
            last unless $victim;
            $struck++;
            wait_for(5, sub { is_dead($victim) }) if $signal ne 'STOP';
            others_are_served($org, $what);
            others_are_woken($org + 2000, $what) if $signal eq 'STOP';
            kill CONT => $victim if $signal eq 'STOP';
            works_again($org, $what);
        }
        cmp_ok $struck, '>=', 4, "$name: $struck places for SIG$signal";
    }
}

my @counted;
wait_for(10, sub {
    my $parked = metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{parked};
    @counted = (('parked') x $parked, grep { waiters($_) } 101 .. $org);
    return !@counted;
});
is "@counted", '', 'in the end nobody is counted as waiting';

# the clock is a test's, too
my $token = caller_of(org => 90_000);
my $first = publish_to(90_000);
is answer($first->[0], $within)->{status}, 202, 'an event';
$hooks->clock(50);      # RealtimeEventTTL 60s
is scalar @{ subscribe('a', $token, 'wait=0&cursor=earliest')->{events} }, 1, 'lives for its time';
$hooks->clock(70);
is scalar @{ subscribe('a', $token, 'wait=0&cursor=earliest')->{events} }, 0, 'and not longer, by the clock of the test';
my $admin = caller_of(org => 90_001, role => 'admin', ttl => 3600);
sub given_back { return metrics('a', $admin)->{totals}{buffersGivenBack} }
my $before = given_back();
$hooks->clock(310);
ok wait_for(10, sub { given_back() > $before }), 'its buffer is given back when nobody asked for it (RealtimeIdleEvict)';
is answer(poll('a', $token, 'wait=0'))->{status}, 401, 'nor does a token of 300 s';
$hooks->clock(0);

my ($status, $took) = $httpd->stop;
is $status, 0, 'the server stops as it should';
cmp_ok $took, '<', 10, 'in time';
done_testing;
