# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A parked poll gathers what follows its first event while its organisation publishes fast, so that a
# burst costs few replies; a quiet organisation's event is answered at once.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use List::Util qw(min);
use Rt qw(answer caller_of event json_of poll publish subscribe wait_for waiters);
use Test::More;
use Time::HiRes ();

my $least = 0.15;       # of the longest tier, 150 to 400 ms
my $org = 5800;
my $count = 0;

sub owner { return caller_of(org => $org) }
sub ids { return map { $_->{eventId} } @{ shift->{events} } }

# One event to a parked poll; another right behind it. Returns how long the poll took from the first
# one on, and what its reply held.
sub woken {
    my ($domain, $query) = @_;
    my $cursor = subscribe($domain, owner(), 'wait=0')->{cursor};
    my $poll = poll($domain, owner(), "wait=20&cursor=$cursor&" . ($query // ''));
    wait_for(5, sub { waiters($org) == 1 }) or BAIL_OUT('not parked');
    my $sent = Time::HiRes::time();
    publish('a', event($org, eventId => 'first' . ++$count));
    publish('a', event($org, eventId => "second$count"));
    my $res = answer($poll);
    return ($res->{at} - $sent, scalar ids(json_of($res)));
}

# with a tier that begins at the first event, whatever its organisation did before
my (@took, @held);
for (1 .. 5) {
    $org++;
    my ($took, $held) = woken('slow');
    push @took, $took;
    push @held, $held;
}
cmp_ok min(@took), '>=', $least, 'RealtimeLinger 1 1 1: each poll gathers for its time';
ok scalar(grep { $_ == 2 } @held), 'and its reply has the event that came behind the first';

# quiet: at once. One that lingers can't be faster than its least time; on a busy machine, one of five.
@took = ();
for (1 .. 5) {
    $org++;
    push @took, (woken('a'))[0];
}
cmp_ok min(@took), '<', $least, 'a quiet organisation is answered at once';

# enough for the longest tier of auto
sub burst {
    my $whose = shift;
    publish('a', [map { event($whose, eventId => 'burst' . ++$count) } 1 .. 100]) for 1 .. 3;
    return;
}

# after so many events of a second, for as long as that is the last one; the others see none of it
sub after_a_burst {
    my $domain = shift;
    $org++;
    burst($org);
    return woken($domain);
}
my ($gathered, @prompt);
for (1 .. 10) {
    my ($took, $held) = after_a_burst('a');
    last if $gathered = $took >= $least && $held == 2;
}
ok $gathered, 'one that publishes fast is answered later, with what followed';
push @prompt, (after_a_burst('prompt'))[0] for 1 .. 5;
cmp_ok min(@prompt), '<', $least, 'RealtimeLinger off: at once';
my $other = $org++;
burst($other);
cmp_ok min(map { $org++; (woken('a'))[0] } 1 .. 5), '<', $least, "another organisation's burst delays nobody";

# the client's own is the least
$org++;
cmp_ok((woken('slow', 'linger=700'))[0], '>=', 0.7, 'what a client asks for is the least');
$org++;
cmp_ok((woken('prompt', 'linger=300'))[0], '>=', 0.3, 'and holds without a tier');

# a poll that finds events is not parked, and gathers nothing
$org++;
my $start = subscribe('slow', owner(), 'wait=0')->{cursor};
publish('a', event($org, eventId => 'there'));
cmp_ok min(map { answer(poll('slow', owner(), "wait=20&cursor=$start"))->{took} } 1 .. 5), '<', $least,
    'a poll that finds events when it comes is answered at once';

# one burst, read by two clients at the same time: all of it, in fewer replies
$org++;
my $first = subscribe('a', owner(), 'wait=0')->{cursor};
my $events = 60;
my %client = map { $_ => { cursor => $first, replies => 0, ids => [] } } qw(a prompt);
sub repoll { return poll($_[0], owner(), "wait=20&cursor=$client{$_[0]}{cursor}") }
$client{$_}{poll} = repoll($_) for keys %client;
wait_for(5, sub { waiters($org) == 2 }) or BAIL_OUT('not parked');
my $publisher = fork // die "fork: $!";
if (!$publisher) {
    for (1 .. $events) {
        publish('a', event($org, eventId => "e$_"));
        Time::HiRes::sleep(0.01);       # the pace of the burst
    }
    require POSIX;
    POSIX::_exit(0);
}
while (grep { @{ $_->{ids} } < $events } values %client) {
    my %of = map { fileno($client{$_}{poll}) => $_ } grep { @{ $client{$_}{ids} } < $events } keys %client;
    my $select = IO::Select->new(map { $client{$_}{poll} } values %of);
    my @ready = $select->can_read(30) or last;
    for my $socket (@ready) {
        my $name = $of{fileno $socket};
        my $got = json_of(answer($socket) // last);
        my $client = $client{$name};
        $client->{replies}++;
        push @{ $client->{ids} }, ids($got);
        $client->{cursor} = $got->{cursor};
        $client->{poll} = repoll($name) if @{ $client->{ids} } < $events;
    }
}
waitpid $publisher, 0;
for my $name (qw(a prompt)) {
    is_deeply $client{$name}{ids}, [map { "e$_" } 1 .. $events], "$name: the whole burst, in order";
}
cmp_ok $client{a}{replies}, '<', $client{prompt}{replies},
    "in $client{a}{replies} replies instead of $client{prompt}{replies}";
done_testing;
