# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each bound of a buffer, one past it, with the defaults that a server has without directives (P§1);
# and what a server that was stopped and started again says to cursors from before.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use My::Log qw(expect_warn);
use My::Server;
use Rt qw(answer caller_of event ids json_of metrics poll publish subscribe wait_for waiters);
use Test::More;
use Time::HiRes ();

expect_warn('OG1502: events live shorter');      # RealtimeEventTTL 2s below

my $org = 300;
sub owner { return caller_of(org => $org) }
sub at { return subscribe('a', owner(), 'wait=0')->{cursor} }
sub behind { return subscribe('a', owner(), "wait=0&cursor=$_[0]") }
sub put { my @ids = @_; return publish('a', [map { event($org, eventId => $_) } @ids]) }

sub is_gap {
    my ($got, $reason, $since, $what) = @_;
    is_deeply [$got->{events}, $got->{gap}], [[], { reason => $reason, since => $since }], $what;
    is_deeply [@{ behind($got->{cursor}) }{qw(events gap)}], [[], undef], 'and the new cursor is good';
    return;
}

my $secret = "$ENV{TEST_STAGE}/t/logs/bounds.secret";
open my $fh, '>', $secret or die "$secret: $!";
print $fh 's' x 32;
close $fh or die "$secret: $!";

# without directives
my $httpd = My::Server->new('bounds', realtime => 1, lines => "RealtimeCursorSecret file:$secret\n")->start;
$Rt::address = '127.0.0.1:' . $httpd->port;
is metrics('a', owner())->{bufferSize}, 200, 'a buffer keeps 200 events';
my $start = at();
put(map { "a$_" } 1 .. 100);
put(map { "b$_" } 1 .. 100);
my $all = behind($start);
is scalar @{ $all->{events} }, 200, '200 events are a stream, and one reply';
is_deeply [@$all{qw(more gap)}], [JSON::PP::false, undef], 'without a gap';
put('one-more');
is_gap(behind($start), 'evicted', $start, 'the 201st is a gap');

# a stop and a start: the secret is the same, the events are gone
my $old = at();
$httpd->stop('TERM');
$httpd->start;
is_gap(behind($old), 'epoch', $old, 'a cursor of the server before its restart is gap epoch');
put('new');
is ids(subscribe('a', owner(), 'wait=0&cursor=earliest')), 'new', 'the new server has its own events';
is_gap(behind($old), 'epoch', $old, 'which the old cursor does not lead to');
$httpd->stop;
$httpd->configure(realtime => 1);
$httpd->start;
is_gap(behind($old), 'foreign', $old, 'without a secret in a file it is gap foreign');

# RealtimeBufferMemory is that of a start (t/fault/reload.t has the reload)
$httpd->configure(realtime => 1, lines => "RealtimeBufferMemory 8M\nRealtimeEventTTL 1d\n");
$httpd->stop;
$httpd->start;

# memory: an eighth of a store goes to places, a sixteenth and a sixty-fourth to who waits; what is
# left for events holds seven of 60 KB
$org++;
$start = at();
my $fill = 'x' x 60_000;
my $kept = 0;
publish('a', event($org, eventId => 'm' . ++$kept, data => $fill)) while $kept < 20 && !behind($start)->{gap};
cmp_ok $kept, '>', 4, "memory for $kept events of 60 KB";
cmp_ok $kept, '<', 9, 'and for no more, of 8M over 16 stores';
is_gap(behind($start), 'evicted', $start, 'what had to go is a gap');
my ($at, @left) = ('earliest');
for (1 .. 20) {
    my $page = subscribe('a', owner(), "wait=0&cursor=$at");
    push @left, split ' ', ids($page);
    $at = $page->{cursor};
    last unless $page->{more};
}
is_deeply \@left, [map { "m$_" } $kept - @left + 1 .. $kept], 'the newest are there';
cmp_ok scalar @left, '>', 3, 'most of them';
is publish('a', event($org, eventId => 'max', data => 'x' x 65_534))->{status}, 202, 'the largest event that may be is taken';

# time
$httpd->configure(realtime => 1, lines => "RealtimeBufferMemory 8M\nRealtimeEventTTL 2s\n");
$httpd->restart;
$org++;
$start = at();
my $sent = Time::HiRes::time();
put('brief');
my $seen = behind($start);
my $asked = Time::HiRes::time();
ok ids($seen) eq 'brief' || $asked - $sent > 2, 'an event can be fetched for RealtimeEventTTL';
ok wait_for(10, sub { behind($start)->{gap} }), 'and then no more';
cmp_ok(Time::HiRes::time() - $sent, '>', 1.9, 'not before');
is_gap(behind($start), 'evicted', $start, 'which is a gap');
is ids(subscribe('a', owner(), 'wait=0&cursor=earliest')), '', 'also for those who ask for the earliest';

# places: of the server
$httpd->configure(realtime => 1, lines => "RealtimeBufferMemory 8M\nRealtimeMaxParked 3\n");
$httpd->restart;
$org++;
my @polls = map { poll('a', caller_of(org => $org + $_), 'wait=20') } 1 .. 3;
my $admin = caller_of(org => $org, role => 'admin');
ok wait_for(10, sub { metrics('a', $admin)->{totals}{parked} == 3 }), 'RealtimeMaxParked 3: three organisations park a poll each';
my $paced = answer(poll('a', owner(), 'wait=20'));
cmp_ok $paced->{took}, '<', 5, "a fourth's is answered at once";
my $said = json_of($paced);
ok $said->{retryMs} >= 2000 && $said->{retryMs} <= 5000, "and told to come back in 2 to 5 seconds ($said->{retryMs} ms)";
publish('a', event($org + $_, eventId => 'end')) for 1 .. 3;
is join(' ', map { ids(json_of(answer($_))) } @polls), 'end end end', 'the three are served';
ok wait_for(5, sub { metrics('a', $admin)->{totals}{parked} == 0 }), 'and their places free';
my $free = poll('a', owner(), 'wait=20');
ok wait_for(5, sub { waiters($org) == 1 }), 'for another';
put('last');
is ids(json_of(answer($free))), 'last', 'which is woken';
done_testing;
