# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A cursor whose events are not all there is answered with a gap and no events: never a part.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use Rt qw(answer caller_of event json_of poll publish status_of subscribe wait_for waiters);
use Test::More;

my $size = 50;      # RealtimeBufferSize of t/conf/realtime.conf.in
my ($org, $other) = (5201, 5202);
my ($owner, $stranger) = map { caller_of(org => $_) } $org, $other;

sub at { return subscribe('a', shift, 'wait=0')->{cursor} }

sub is_gap {
    my ($got, $reason, $since, $what) = @_;
    is_deeply $got->{events}, [], "$what: no events";
    is_deeply $got->{gap}, { reason => $reason, since => $since }, "but gap $reason, and since when";
    isnt $got->{cursor}, $since, 'with a new cursor';
    ok !$got->{more}, 'and nothing more to fetch';
}

# of somebody else
my $start = at($owner);
publish('a', [map { event($_, eventId => "f$_") } $org, $other]);
my $foreign = subscribe('a', $stranger, "wait=10&cursor=$start");
is_gap($foreign, 'foreign', $start, "another organisation's cursor, which is answered at once");
is_deeply subscribe('a', $stranger, "wait=0&cursor=$foreign->{cursor}")->{events}, [],
    'the cursor of a gap is behind what there was';
is_gap(subscribe('b', $owner, "wait=0&cursor=$start"), 'foreign', $start, "another domain's cursor");
for my $byte (1, 5, 12, 20, 33) {       # partition, epoch, id, mac
    my $bytes = decode_base64url($start);
    vec($bytes, $byte, 8) ^= 1;
    my $forged = encode_base64url($bytes, '');
    is_gap(subscribe('a', $owner, "wait=0&cursor=$forged"), 'foreign', $forged, "a cursor with byte $byte changed");
}
is scalar @{ subscribe('a', $owner, "wait=0&cursor=$start")->{events} }, 1, 'the untouched one gives its event';

# no cursor at all
my $version = decode_base64url($start);
vec($version, 0, 8) = 2;
for my $text ('x', 'nowhere', '-1', $start . 'A', substr($start, 0, -1), "$start=", '%20' . $start, encode_base64url($version, '')) {
    is status_of('a', $owner, "wait=0&cursor=$text"), 400, "cursor=$text is 400";
}

# overflow, one event before it and one behind it
$start = at($owner);
publish('a', event($org, eventId => "e$_", data => { n => $_ })) for 1 .. $size;
my $all = subscribe('a', $owner, "wait=0&cursor=$start");
is scalar @{ $all->{events} }, $size, 'a full buffer is a stream';
is $all->{gap}, undef, 'without a gap';
my $middle = subscribe('a', $owner, "wait=0&limit=1&cursor=$start")->{cursor};
publish('a', event($org, eventId => 'e-more'));
my $evicted = subscribe('a', $owner, "wait=10&cursor=$start");
is_gap($evicted, 'evicted', $start, 'one event more than is kept, answered at once');
is_deeply subscribe('a', $owner, "wait=0&cursor=$evicted->{cursor}")->{events}, [], 'the client refetches, and starts behind all of it';
is scalar @{ subscribe('a', $owner, "wait=0&cursor=$middle")->{events} }, $size, 'who had the lost event misses nothing';
is scalar @{ subscribe('a', $owner, 'wait=0&cursor=earliest')->{events} }, $size, 'earliest is no claim to have seen anything';
is_gap(subscribe('a', $owner, "wait=0&cursor=$start&types=nothing"), 'evicted', $start, 'a filter can hide no gap');

# the buffer runs over while a poll lingers: its first event goes out, the loss is the next poll's gap
$start = at($owner);
my $parked = poll('a', $owner, "wait=20&linger=2000&cursor=$start");
ok wait_for(5, sub { waiters($org) == 1 }), 'a poll is parked';
publish('a', event($org, eventId => 'g-first'));
ok wait_for(5, sub { waiters($org) == 0 }), 'and lingers on its first event';
publish('a', [map { event($org, eventId => "g$_") } 1 .. $size + 10]);
my $got = json_of(answer($parked));
is_deeply [map { $_->{eventId} } @{ $got->{events} }], ['g-first'], 'its reply holds what came before the loss';
is $got->{gap}, undef, 'and no gap beside events';
is_gap(subscribe('a', $owner, "wait=0&cursor=$got->{cursor}"), 'evicted', $got->{cursor}, 'the next poll');
done_testing;
