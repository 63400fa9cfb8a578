# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# B43: many at once under one key, over all children, while children are killed: one effect each, and
# whoever is answered is answered alike. RACE_KEYS (30) is how many keys while nobody is killed.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Idem qw(ask caller_of key post receive site wait_for);
use My::Log qw(expect_error expect_warn);
use POSIX ();
use Test::More;

expect_error('AH00052: child pid \d+ exit signal Killed', 'AH00898: ', 'AH01102: ', 'AH01097: ', 'AH01095: ', 'AH01110: ', 'AH0(?:3093|3465): process_socket');
expect_error('AH0(?:0484|0161|3269|028[678]|0326): ');      # more clients than workers is what is meant
expect_warn('AH1039[0-9]: ', 'AH0(?:0484|0161|3269|028[678]|0326): ');
my ($httpd, $backend) = site('idem_race', locations => {
    '/api/'       => "Idempotency required\n",
    '/api/retry/' => "IdempotencyInDoubt retry 2s\n",
}, mpm => <<'CONF');
StartServers       3
<IfModule mpm_prefork_module>
MaxRequestWorkers  24
MinSpareServers    12
MaxSpareServers    24
</IfModule>
<IfModule !mpm_prefork_module>
MaxRequestWorkers  48
MinSpareThreads    8
MaxSpareThreads    48
ThreadsPerChild    12
ServerLimit        4
</IfModule>
CONF
my $keys = $ENV{RACE_KEYS} || 30;
my $token = caller_of();
my %mine = (Authorization => $token, 'Content-Type' => 'application/json', 'X-Do' => 'sleep=0.1', Connection => 'close');

# 50 requests of a key at once: their answers, where there was one
sub at_once {
    my ($path, $key) = @_;
    my @wires = map { eval { ask('POST', $path, '{}', %mine, 'Idempotency-Key' => $key) } // () } 1 .. 50;
    # closed at once: a server without a thread of its own for that waits for it
    return map { my $answer = receive($_); close $_->{socket}; $answer // () } @wires;
}

sub check {
    my ($key, $answers, $strange) = @_;
    my %body;
    for my $answer (grep { $_->{status} } @$answers) {
        if ($answer->{status} == 201) { $body{ $answer->{body} }++ }
        elsif ($answer->{status} != 409 && $answer->{status} != 502 && $answer->{status} != 503) { push @$strange, "$key: $answer->{status}" }
        elsif ($answer->{status} == 409 && $answer->{code} !~ /^idempotency_in_(?:progress|doubt)$/) { push @$strange, "$key: $answer->{code}" }
    }
    push @$strange, "$key: " . keys(%body) . ' different answers' if keys %body > 1;
    return %body;
}

# nobody dies
my (@strange, @keys);
for my $n (1 .. $keys) {
    push @keys, my $key = key('calm');
    my @answers = at_once('/api/a', $key);
    is scalar @answers, 50, 'all 50 are answered' if @answers != 50;
    check($key, \@answers, \@strange) or push @strange, "$key: nobody was answered";
    push @strange, "$key is not replayed" unless post('/api/a', $token, $key, '{}')->{replayed};
}
is "@strange", '', "50 requests at once under each of $keys keys are answered alike";
my $count = $backend->counts;
is_deeply [grep { $count->{$_} != 1 } @keys], [], 'and have one effect each';

# children are killed all the time
for my $path ('/api/a', '/api/retry/a') {
    my $killer = fork // die "fork: $!";
    if (!$killer) {
        for (;;) {
            select undef, undef, undef, 0.1 + rand 0.2;
            my @children = $httpd->children;
            kill KILL => $children[rand @children] if @children > 1;
        }
    }
    (my $doubts, @strange, @keys) = (0);
    my %seen;
    for my $n (1 .. 40) {
        push @keys, my $key = key('killed');
        $seen{$key} = [at_once($path, $key)];
    }
    kill KILL => $killer;
    waitpid $killer, 0;
    for my $key (@keys) {
        my $last;
        wait_for(20, sub {
            $last = eval { post($path, $token, $key, '{}', within => 5) } or return 0;
            return 0 if $last->{status} !~ /^\d+$/ || $last->{status} == 0 || ($last->{code} // '') eq 'idempotency_in_progress';
            return $path !~ /retry/ || $last->{status} == 201;
        }) or push @strange, "$key: never settled: $last->{status}";
        push @{ $seen{$key} }, $last;
        my %body = check($key, $seen{$key}, \@strange);
        $doubts++ if ($last->{code} // '') eq 'idempotency_in_doubt';
        push @strange, "$key: answered, and then in doubt" if %body && ($last->{code} // '') eq 'idempotency_in_doubt';
    }
    is "@strange", '', "$path: while children are killed each key has one answer";
    $count = $backend->counts;
    if ($path =~ /retry/) {
        is $doubts, 0, 'and in the end none is in doubt';
    }
    else {
        is_deeply [grep { ($count->{$_} // 0) > 1 } @keys], [], 'and one effect at most';
    }
    diag "$path: $doubts in doubt";
}
is_deeply [$backend->overlaps], [], 'never were two effects of a key under way';
my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
