# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Sixteen clients at once, so that every handler runs beside every other: under the thread sanitizer
# only what overlaps can be found. SOAK_ROUNDS makes it longer (build/soak does).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use My::DB qw(make_org value);
use My::Finance qw(bearer expense);
use My::Log qw(expect_error);
use My::Token ();
use POSIX ();
use Rt qw(answer caller_of event json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;

# a child that has no thread free for a moment says so
expect_error('AH00484|AH00286');

my $rounds = $ENV{SOAK_ROUNDS} || 15;
my @orgs = map { make_org($_) } 5801 .. 5804;
my $json = JSON::PP->new->canonical;

sub check {
    my ($what, $got, @expected) = @_;
    die "$what: $got, expected @expected\n" unless grep { $got eq $_ } @expected;
    return;
}

sub post {
    my ($org, $key, %change) = @_;
    return request('POST', '/v1/finance/expenses', $json->encode(expense($org * 10 + 1, %change)),
        Authorization => bearer_of($org), 'Content-Type' => 'application/json', 'Idempotency-Key' => $key);
}

my %bearer;
sub bearer_of { return $bearer{ $_[0] } //= bearer($_[0], 1) }

# What a client does in a round; it dies of what is wrong.
my %client = (
    # a poll is parked, and woken by this client's own event
    wake => sub {
        my ($n, $round) = @_;
        my $org = 5811 + $n;
        my $token = caller_of(org => $org);
        my $at = subscribe('a', $token, 'wait=0')->{cursor};
        my $poll = poll('a', $token, "wait=20&cursor=$at");
        check('publish', publish('a', event($org, eventId => "w$n-$round"))->{status}, 202);
        my $said = json_of(answer($poll) // die "a poll was not answered\n");
        if (!@{ $said->{events} }) {        # all places were taken: paced, and fetched without one
            $said = subscribe('a', $token, "wait=0&cursor=$at");
        }
        check('events', join(' ', map { $_->{eventId} } @{ $said->{events} }), "w$n-$round");
    },
    # a poll is parked and left
    leave => sub {
        my ($n) = @_;
        my $poll = poll('a', caller_of(org => 5815), 'wait=20');
        select undef, undef, undef, 0.01 * $n;
        close $poll;
    },
    # two clients an organisation post under the same keys: whoever is second sees what is booked
    write => sub {
        my ($n, $round) = @_;
        my $res = post($orgs[$n >> 1], "overlap-$round");
        for (1 .. 50) {
            last if $res->{status} != 409;
            $res = post($orgs[$n >> 1], "overlap-$round");
        }
        check('write', $res->{status}, 201);
    },
    list => sub {
        my ($n) = @_;
        my $res = request('GET', '/v1/finance/expenses?limit=10', undef, Authorization => bearer_of($orgs[$n]));
        check('list', $res->{status}, 200);
        my ($id) = map { $_->{id} } @{ json_of($res)->{data} };
        check('read', request('GET', "/v1/finance/expenses/$id", undef,
            Authorization => bearer_of($orgs[$n]))->{status}, 200) if $id;
    },
    # tokens that nobody has shown before, good and bad
    token => sub {
        my ($n, $round) = @_;
        my $token = My::Token::bearer(org => 5816, user => 1000 * $n + $round + 1, role => 'admin');
        metrics('a', $token);
        check('a bad token', request('GET', '/rt/a/metrics', undef, Authorization => "${token}A")->{status}, 401);
    },
);

my @clients = ((map { [wake => $_] } 0 .. 3), (map { [leave => $_] } 0 .. 2), (map { [write => $_] } 0 .. 3),
    (map { [list => $_] } 0 .. 2), (map { [token => $_] } 0 .. 1));
pipe my $start, my $go or die "pipe: $!";
my @running;
for (@clients) {
    my ($what, $n) = @$_;
    pipe my $from, my $to or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $go;
        sysread $start, my $end, 1;         # returns when all have been started
        my $done = 0;
        for my $round (1 .. $rounds) {
            eval { $client{$what}->($n, $round); $done++; 1 } or do { syswrite $to, "round $round: $@"; last };
        }
        syswrite $to, "done $done\n";
        POSIX::_exit(0);
    }
    close $to;
    push @running, ["$what $n", $pid, $from];
}
close $go;
for (@running) {
    my ($name, $pid, $from) = @$_;
    my $said = do { local $/; <$from> };
    waitpid $pid, 0;
    is $said, "done $rounds\n", "client '$name' saw what it should, $rounds times";
}

for my $org (@orgs[0, 1]) {
    is value("SELECT count(*) FROM transactions WHERE org_id = $org"), $rounds, "org $org has a row for each key";
}
ok wait_for(10, sub { !waiters(5815) }), 'polls that were left wait no more';
ok wait_for(20, sub { !value("SELECT count(*) FROM event_outbox WHERE org_id IN (@{[join ',', @orgs]}) AND published_at IS NULL") }),
    'each event is published';
done_testing;
