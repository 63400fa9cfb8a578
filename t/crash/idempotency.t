# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F02, F03: a child is killed, crashes, or is stopped at each place of a change to the store of keys.
# Nobody waits for it, no key has a second effect, and no answer that was sent is lost.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/idempotency";
use Idem qw(ask caller_of key post receive site wait_for);
use IO::Select ();
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use Test::More;

# With a margin for a loaded machine: a lock is waited for 100 ms, and to keep an answer 1 s
my $within = 5;

expect_error('AH00052: child pid \d+ exit signal (?:Killed|Segmentation fault)', 'AH00050', 'AH00051',
    'AH00898: ', 'AH01102: ', 'AH01097: ', 'AH01095: ', 'AH01110: ');
expect_warn('AH1039[0-9]: ', 'OG1208', 'OG1210');
my $hooks = My::Hooks->new;
# no module with threads of its own that pass crash points
my $load = join '', grep { !/realtime|finance/ } split /^/, do {
    open my $fh, '<', "$ENV{TEST_STAGE}/load.conf" or die "load.conf: $!";
    local $/;
    <$fh>;
};
my ($httpd, $backend) = site('idem_crash', load => $load, env => $hooks->env, locations => {
    '/api/' => "Idempotency required\nIdempotencyTTL 1h\n",
}, mpm => <<'CONF');
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    32
MaxSpareThreads    64
ThreadsPerChild    8
ServerLimit        12
</IfModule>
CONF
my $token = caller_of(ttl => 3_000_000);
my %mine = (Authorization => $token, 'Content-Type' => 'application/json', Connection => 'close');
my %answered;       # key => body that a client got

sub send_key {
    my ($key, $do) = @_;
    return ask('POST', '/api/a', '{}', %mine, 'Idempotency-Key' => $key, 'X-Do' => $do // '');
}

sub keep {
    my ($key, $answer) = @_;
    $answered{$key} = $answer->{body} if $answer && $answer->{status} == 201;
    return $answer;
}

# An answer, unless the crash point struck: then nobody may be left to give it
sub answer_or_death {
    my ($key, $wire) = @_;
    wait_for(10, sub { $hooks->struck || IO::Select->new($wire->{socket})->can_read(0) });
    return if $hooks->struck;
    return keep($key, receive($wire, $within));
}

# Once the effect is under way, so that only what ends the claim is struck
sub at_its_end {
    my ($do, $nth, $signal) = @_;
    my $key = key('end');
    my $wire = send_key($key, "sleep=0.05 $do");
    wait_for(10, sub { $backend->effects($key) });
    $hooks->arm($nth, $signal);
    answer_or_death($key, $wire);
    return $key;
}

my $hour = 0;
my %operation = (
    'a new key'      => sub { my ($nth, $signal) = @_; my $key = key('new'); $hooks->arm($nth, $signal); answer_or_death($key, send_key($key)); return $key },
    'keeping'        => sub { return at_its_end('', @_) },
    'releasing'      => sub { return at_its_end('status=400', @_) },
    'doubting'       => sub { return at_its_end('drop', @_) },
    'what is past its time' => sub {
        my ($nth, $signal) = @_;
        my $key = key('past');
        keep($key, receive(send_key($key)));
        $hooks->clock(++$hour * 3700);
        %answered = ();
        $hooks->arm($nth, $signal);
        answer_or_death($key, send_key($key));
        return $key;
    },
);

# What others get while a process may hold a lock: an answer, in time
sub others_are_served {
    my $what = shift;
    my (@late, %wire);
    $wire{$_} = send_key($_) for map { key('other') } 1 .. 4;
    for my $key (sort keys %wire) {
        my $answer = keep($key, receive($wire{$key}, $within));
        # the dying child had taken its connection: what it asked for anew says how far it came
        $answer = keep($key, receive(send_key($key), $within)) if $answer && !$answer->{status};
        next if $answer && ($answer->{code} // '') eq 'idempotency_in_doubt';
        push @late, $answer ? $answer->{status} : 'none' unless $answer && $answer->{status} =~ /^(?:201|503)$/;
    }
    return is "@late", '', "$what: others are served";
}

sub works_again {
    my ($key, $what) = @_;
    my $last;
    ok wait_for(20, sub {
        $last = eval { keep($key, receive(send_key($key), $within)) };
        return $last && ($last->{status} == 201 || ($last->{code} // '') eq 'idempotency_in_doubt');
    }), "$what: its key is answered" or diag explain $last;
    my @wrong = map { "$_ lost its answer" }
        grep { my $now = receive(send_key($_), $within); !$now || $now->{body} ne $answered{$_} } sort keys %answered;
    push @wrong, "$key has an answer, and is in doubt" if $answered{$key} && $last && $last->{status} != 201;
    return is "@wrong", '', "$what: no answer is lost";
}

for my $signal (qw(KILL SEGV STOP)) {
    for my $name (sort keys %operation) {
        my ($struck, %twice) = (0);
        for my $nth (1 .. 200) {
            my $what = "SIG$signal at place $nth of $name";
            my $key = $operation{$name}->($nth, $signal);
            my $victim = $hooks->struck;
            $hooks->disarm;
            last unless $victim;
            $struck++;
            others_are_served($what);
            kill CONT => $victim if $signal eq 'STOP';
            works_again($key, $what);
            # a key that was free, or past its time, may have had an effect before
            my $most = $name eq 'releasing' || $name eq 'what is past its time' ? 2 : 1;
            $twice{$key} = 1 if $backend->effects($key) > $most;
            %answered = map { $_ => $answered{$_} } (sort keys %answered)[0 .. 5] if keys %answered > 6;
        }
        cmp_ok $struck, '>=', 3, "$name: $struck places for SIG$signal";
        is_deeply [sort keys %twice], [], 'and nobody has an effect too many';
    }
}
is_deeply [$backend->overlaps], [], 'no two effects of a key were under way at once';
my ($status, $took) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
