# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each directive's value is checked at config test, with a sentence that says what was expected.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::ConfigTest qw(config_test);
use Test::More;

my $stage = $ENV{TEST_STAGE};
sub file_of {
    my $bytes = shift;
    my $file = "$stage/t/logs/secret-$bytes";
    open my $fh, '>', $file or die "$file: $!";
    print $fh 'x' x $bytes;
    close $fh or die "$file: $!";
    return $file;
}
my ($short, $long) = (file_of(31), file_of(32));

my @number = (['RealtimeBufferSize', 1, 10_000], ['RealtimeMaxWaiters', 1, 1_000_000],
    ['RealtimeMaxParked', 1, 10_000_000], ['RealtimeLogIdle', 0, 1_000_000]);
my @refused = (
    (map { my ($name, $min, $max) = @$_; my $why = qr/$name: expected a whole number from $min to $max/;
        map { ["$name $_", $why] } $min - 1, $max + 1, '1x', '" "', '99999999999999999999' } @number),
    (map { ["RealtimeBufferMemory $_", qr/RealtimeBufferMemory: expected a size from 8388608 to 68719476736 bytes/] }
        '8388607', '7M', '65G', '1T', '-8M', 'much'),
    (map { ["RealtimeEventTTL $_", qr/RealtimeEventTTL: expected a time from 1s to 86400s/] } '0', '999ms', '25h', '2m', 'long'),
    (map { ["RealtimeIdleEvict $_", qr/RealtimeIdleEvict: expected a time from 30s to 86400s/] } '0', '29s', '29999ms', '25h', 'off'),
    (map { ["RealtimePollTimeout $_", qr/RealtimePollTimeout: expected a time from 1s to 25s/] } '0', '26s', '500ms', 'x'),
    (map { ["RealtimeDomain $_", qr/RealtimeDomain: expected a name of 1 to 31/] } '" "', 'a.b', '"a b"', 'a/b', 'x' x 32),
    (map { ["RealtimeCursorSecret $_", qr/RealtimeCursorSecret: expected file:PATH, not "/] } 'secret', '"file:"', "file:$long secret"),
    ["RealtimeCursorSecret file:/nowhere", qr/RealtimeCursorSecret: \/nowhere: No such file/],
    ["RealtimeCursorSecret file:$stage/t", qr/RealtimeCursorSecret: \S+: Is a directory/],
    (map { ["RealtimeCursorSecret $_", qr/RealtimeCursorSecret: \S+: expected a secret of at least 32 bytes, not 31/] }
        "file:$short", "file:$long file:$short"),
    (map { ["RealtimeCoalesce $_", qr/RealtimeCoalesce must be On or Off/] } 'Yes', '" "', '1'),
    (map { ["RealtimeLegacy $_", qr/RealtimeLegacy must be On or Off/] } 'Gone', '" "'),
    (map { ["RealtimeLinger $_", qr/RealtimeLinger: expected off, auto or three ascending numbers of events a second from 1 to 1000000/] }
        'on', 'Auto', '3', '" "', '0 1 2', '1 2 1000001', '3 2 4', '2 4 3', '1 2 x', '-1 2 3', '1 2.5 3'),
    (map { ["RealtimeLinger $_", qr/RealtimeLinger takes one or three arguments/] } '', '1 2', '1 2 3 4'),
    (map { ["RealtimePark $_", qr/RealtimePark: expected auto, waitio or condvar/] } 'Waitio', 'Auto', '" "'),
    [join("\n", map { "<Location /d$_>\nRealtimeDomain d$_\n</Location>" } 1 .. 17), qr/RealtimeDomain: expected at most 16 domains/],
    (map { ["<Location /x>\n$_\n</Location>", qr/(?:not allowed|cannot occur)/], ["<VirtualHost *:1>\n$_\n</VirtualHost>", qr/cannot occur/] }
        'RealtimeBufferSize 10', 'RealtimeBufferMemory 8M', 'RealtimeEventTTL 60s', 'RealtimeIdleEvict 60s', 'RealtimeMaxWaiters 1', 'RealtimeMaxParked 1',
        "RealtimeCursorSecret file:$long", 'RealtimePark auto'),
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    my $shown = length $lines > 70 ? substr($lines, 0, 70) . '…' : $lines;
    ok !$accepted, "refused: $shown";
    like $output, $message, 'with what was expected';
}

# all that is right, in one configuration a bound
for my $lines (
    join("\n", map { "$_->[0] $_->[1]" } @number) . "\nRealtimeBufferMemory 8M\nRealtimeEventTTL 1s\nRealtimeIdleEvict 30s\nRealtimePollTimeout 1s\nRealtimePark auto\nRealtimeLinger auto",
    join("\n", map { "$_->[0] $_->[2]" } @number) . "\nRealtimeBufferMemory 64G\nRealtimeEventTTL 1d\nRealtimeIdleEvict 1d\nRealtimePollTimeout 25s\nRealtimePark condvar\nRealtimeLinger off",
    'RealtimeLinger 1 1 1', "RealtimeLinger 1 2 1000000\nRealtimeCoalesce Off\nRealtimeLegacy On",
    "RealtimeCursorSecret file:$long", "RealtimeCursorSecret file:$long file:$long", 'RealtimeDomain ' . 'x' x 31, 'RealtimeDomain Aa-0_9',
    join("\n", map { "<Location /d$_>\nRealtimeDomain d$_\nRealtimePollTimeout 5\nRealtimeLogIdle 0\n</Location>" } 1 .. 16),
    join("\n", map { "<Location /d$_>\nRealtimeDomain same\n</Location>" } 1 .. 20),
) {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, 'accepted: ' . substr($lines =~ tr/\n/ /r, 0, 60) or diag $output;
}
my ($accepted, $output) = config_test("RealtimePark waitio\n");
if (($ENV{TEST_MPM} // 'event') eq 'event') {
    ok $accepted, 'waitio is there with event';
}
else {
    ok !$accepted && $output =~ /OG1509: RealtimePark waitio: expected the event MPM/, 'waitio is refused without event';
}
like +(config_test("RealtimeMaxParked 10000000\n"))[1], qr/OG1510: RealtimeMaxParked 10000000: expected at most \d+,/,
    'more polls than there are places are warned of';
unlike +(config_test("RealtimeMaxParked 100\n"))[1], qr/OG1510/, 'fewer are not';
done_testing;
