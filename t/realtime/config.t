# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each directive's value is checked at config test, with a sentence that says what was expected.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::ConfigTest qw(config_test);
use My::Source qw(slurp);
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
    (map { ["RealtimePark $_", qr/RealtimePark: expected auto, waitio, condvar or owned/] } 'Waitio', 'Auto', '" "'),
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
for my $way (qw(waitio owned)) {
    my ($accepted, $output) = config_test("RealtimePark $way\n");
    if (($ENV{TEST_MPM} // 'event') eq 'event') {
        ok $accepted, "$way is there with event";
    }
    else {
        ok !$accepted && $output =~ /OG1509: RealtimePark $way: expected the event MPM/, "$way is refused without event";
    }
}

# what contradicts what is warned of, with the values and what was expected; what is right is not
my $event = ($ENV{TEST_MPM} // 'event') eq 'event';
my %right = (
    mpm => "<IfModule !mpm_prefork_module>\nThreadsPerChild 16\n</IfModule>\n", limit => 'ServerLimit 8', workers => 'MaxRequestWorkers 64',
    factor => $event ? 'AsyncRequestWorkerFactor 19' : '', timeout => 'Timeout 30', park => $event ? 'RealtimePark waitio' : '', parked => 'RealtimeMaxParked ' . ($event ? 853 : 42),
    site => "<Location /d>\nRealtimeDomain d\n</Location>", files => 420,
);
$right{limit} = 'ServerLimit 64' if ($ENV{TEST_MPM} // '') eq 'prefork';

sub warnings {
    my %site = (%right, @_);
    my ($accepted, $output) = config_test(join("\n", @site{qw(mpm limit workers factor timeout park parked site)}, ''), files => $site{files});
    $accepted or diag $output;
    return join "\n", sort $output =~ /(OG\d+: .*)/g;
}

my $condvar = join "\n", $right{site}, 'RealtimePark condvar';
is warnings(), '', 'nothing is said of a configuration that is right';
is warnings(site => $condvar, parked => 'RealtimeMaxParked 42', files => 200), '', 'nor of one that parks in threads';
like warnings(site => $condvar, parked => 'RealtimeMaxParked 43', files => 200),
    qr/\AOG1510: RealtimeMaxParked 43: expected at most 42, .*\(\d+ children, ThreadsPerChild \d+, MaxRequestWorkers 64; that many need 65\)\z/,
    'more polls than two thirds of the threads';
like warnings(parked => 'RealtimeMaxParked 10000000', site => ''), qr/\AOG1510: RealtimeMaxParked 10000000: expected at most \d+,/,
    'more polls than there are places, of a server that serves none yet';
is warnings(parked => '', site => '', timeout => 'Timeout 1', files => 200), '', 'nothing is said where no location serves events';

my $plain = "<Location /d>\nRealtimeDomain d\n";
my @cases = (
    # what is changed, of a right one => what is said
    [{ parked => 'RealtimeMaxParked 854' }, 'OG1510: RealtimeMaxParked 854: expected at most 853, two thirds of what all children hold '
        . '(4 children, ThreadsPerChild 16, AsyncRequestWorkerFactor 19, ulimit -n 420; that many need factor 20 and ulimit -n 421)'],
    [{ parked => 'RealtimeMaxParked 854', factor => 'AsyncRequestWorkerFactor 20', files => 500 }, ''],
    [{ factor => 'AsyncRequestWorkerFactor 2' }, 'OG1510: RealtimeMaxParked 853: expected at most 128, two thirds of what all children hold '
        . '(4 children, ThreadsPerChild 16, AsyncRequestWorkerFactor 2, ulimit -n 420; that many need factor 19 and ulimit -n 420)'],
    [{ factor => '' }, 'OG1510: RealtimeMaxParked 853: expected at most 128, two thirds of what all children hold '
        . '(4 children, ThreadsPerChild 16, AsyncRequestWorkerFactor 2, ulimit -n 420; that many need factor 19 and ulimit -n 420)'],
    [{ factor => "AsyncRequestWorkerFactor 2\n<IfModule mpm_event_module>\nAsyncRequestWorkerFactor \"19.9\"\n</IfModule>" }, ''],
    [{ factor => "AsyncRequestWorkerFactor 19\nAsyncRequestWorkerFactor 18" }, qr/\AOG1510: .*expected at most 810,.*AsyncRequestWorkerFactor 18,/],
    [{ mpm => "ThreadsPerChild 8\n", limit => 'ServerLimit 16' }, ''],
    [{ mpm => "ThreadsPerChild 8\n", workers => 'MaxRequestWorkers 32' }, qr/\AOG1510: .*expected at most 426, .*\(4 children, ThreadsPerChild 8,/],
    [{ workers => 'MaxRequestWorkers 32' }, qr/\AOG1510: .*expected at most 426, .*\(2 children, ThreadsPerChild 16,/],
    [{ files => 419, parked => '' }, 'OG1520: 419 open files (ulimit -n): expected at least 420, for the 320 connections that a child accepts '
        . '(ThreadsPerChild 16, AsyncRequestWorkerFactor 19) and 100 for logs, databases and the like: a child parks 212 polls at most'],
    [{ files => 300 }, qr/\AOG1510: RealtimeMaxParked 853: expected at most 533, .*factor 19 and ulimit -n 420\)\nOG1520: 300 open files .* 133 polls at most\z/],
    [{ timeout => 'Timeout 29' }, 'OG1521: Timeout 29: expected at least 30, RealtimePollTimeout 25 and a client\'s pause behind it: '
        . 'connections of polls to the main server are closed sooner, or polls cut'],
    [{ timeout => 'Timeout 29', park => 'RealtimePark owned' }, ''],
    [{ timeout => "Timeout 5\nTimeout 30" }, ''],
    [{ timeout => "Timeout 30\nTimeout 5" }, qr/\AOG1521: Timeout 5:/],
    [{ timeout => 'Timeout 10', site => "${plain}RealtimePollTimeout 5s\n</Location>" }, ''],
    [{ timeout => 'Timeout 9', site => "${plain}RealtimePollTimeout 5s\n</Location>" }, qr/\AOG1521: Timeout 9: expected at least 10, RealtimePollTimeout 5 /],
    [{ timeout => 'Timeout 10', site => "RealtimePollTimeout 5s\n${plain}</Location>" }, ''],
    [{ timeout => 'Timeout 10', site => "${plain}</Location>\n<Location /d/subscribe>\nRealtimePollTimeout 5s\n</Location>" }, ''],
    [{ timeout => 'Timeout 10', site => "${plain}</Location>\n<Location /d/subscribe>\nRealtimePollTimeout 6s\n</Location>" }, qr/\AOG1521: .*RealtimePollTimeout 6 /],
    [{ timeout => 'Timeout 10', site => "${plain}</Location>\n<Location /d/subscribe>\nRealtimeLogIdle 5\n</Location>" }, qr/\AOG1521: .*RealtimePollTimeout 25 /],
    [{ timeout => 'Timeout 10', site => 'RealtimeDomain d' }, qr/\AOG1521: .*RealtimePollTimeout 25 /],
    [{ timeout => 'Timeout 10', site => "<Directory />\nRealtimeDomain d\n</Directory>" }, qr/\AOG1521: .*RealtimePollTimeout 25 /],
    [{ site => "$right{site}\n<VirtualHost *:1>\nTimeout 10\n</VirtualHost>" }, qr/\AOG1521: Timeout 10: .* polls to a virtual host /],
    [{ timeout => 'Timeout 10', site => $condvar, parked => 'RealtimeMaxParked 42' }, ''],
    [{ limit => 'ServerLimit 7' }, 'OG1522: ServerLimit 7: expected at least 8, 4 children (MaxRequestWorkers 64) and 4 new ones that park 853 polls '
        . '(RealtimeMaxParked) while the old ones end after a graceful restart'],
    [{ limit => 'ServerLimit 7', parked => '' }, qr/\AOG1522: ServerLimit 7: expected at least 8,/],
    [{ limit => 'ServerLimit 5', parked => 'RealtimeMaxParked 213' }, ''],
    [{ limit => 'ServerLimit 5', parked => 'RealtimeMaxParked 214' }, qr/\AOG1522: ServerLimit 5: expected at least 6,/],
);
for my $case ($event ? @cases : ()) {
    my ($change, $expected) = @$case;
    my $said = warnings(%$change);
    my $shown = join ', ', map { s/\n/ /gr } values %$change;
    ref $expected ? like $said, $expected, "warned of: $shown"
        : is $said, $expected, ($expected ? 'warned of' : 'right') . ": $shown";
}

# the manual's table of sizes
my @rows = slurp('docs/manual/mod_realtime_lp.md') =~ /^\|((?: \d+ \|){7}) /mg;
is scalar @rows, 3, 'the manual has sizes';
for my $row ($event ? @rows : ()) {
    my ($polls, $threads, $workers, $limit, $factor, $files, $timeout) = $row =~ /(\d+)/g;
    is warnings(mpm => "ThreadsPerChild $threads\n", workers => "MaxRequestWorkers $workers", limit => "ServerLimit $limit",
        factor => "AsyncRequestWorkerFactor $factor", timeout => "Timeout $timeout", parked => "RealtimeMaxParked $polls",
        files => $files), '', "which are right for $polls polls";
}
done_testing;
