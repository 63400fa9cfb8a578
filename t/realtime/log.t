# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# P§1's lines: one a poll, whatever became of it, with who and how long; what the client sent is cut
# and escaped, and no secret is in it.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use My::Log qw(log_mark log_since);
use My::Server;
use My::Wire;
use Rt qw(answer caller_of event json_of poll publish subscribe wait_for waiters);
use Test::More;

my $org = 5701;
my $owner = caller_of(org => $org, user => 31);
my $other = caller_of(org => $org + 1, user => 32);

sub at { return subscribe('a', $owner, 'wait=0')->{cursor} }

# The lines of this suite's organisations behind a mark, when there are as many as are waited for.
sub lines {
    my ($mark, $count) = @_;
    my @lines;
    wait_for(10, sub {
        @lines = grep { /\[RealtimeSubscribe\].* orgId=(?:$org|@{[ $org + 1 ]}) / } split /\n/, log_since($mark);
        return @lines >= $count;
    });
    return @lines;
}

# What one poll leaves in the log.
sub line_of {
    my ($what, $do) = @_;
    my $mark = log_mark();
    $do->();
    my @lines = lines($mark, 1);
    is scalar @lines, 1, "$what is one line" or diag map { "$_\n" } @lines;
    return $lines[0] // '';
}

my $foreign = subscribe('a', $other, 'wait=0')->{cursor};
my $past = at();
publish('a', event($org, eventId => "l$_", propertyId => 3)) for 1 .. 60;      # RealtimeBufferSize is 50
my $who = "orgId=$org userId=31";
my %head = ('User-Agent' => 'Suite/1.0 (test)', Origin => 'https://app.test');
my $from = qr{origin="https://app\.test" ua="Suite/1\.0 \(test\)"};

my @cases = (
    # outcome => what asks for it => what is logged
    ['a poll with events', sub { subscribe('a', $owner, 'wait=0&cursor=earliest&limit=3&propertyId=3') },
        qr/\[completed\] events=3 gap=none $who propertyId="3" origin="-" ua="-" durationMs=\d+/],
    ['an idle poll', sub { answer(poll('a', $owner, 'wait=1', %head)) }, qr/\[completed\] events=0 gap=none $who propertyId="-" $from durationMs=(?:9|1[0-9])\d\d/],
    ['an evicted cursor', sub { answer(poll('a', $owner, "wait=0&cursor=$past")) }, qr/\[completed\] events=0 gap=evicted $who /],
    ['a foreign cursor', sub { answer(poll('a', $owner, "wait=0&cursor=$foreign")) }, qr/\[completed\] events=0 gap=foreign $who /],
    ['a bad parameter', sub { answer(poll('a', $owner, 'wait=x', %head)) }, qr/\[failure\] reason=invalid_request $who propertyId="-" $from durationMs=\d+/],
    ['a bad query', sub { answer(poll('a', $owner, 'types=%zz')) }, qr/\[failure\] reason=invalid_request $who propertyId="-" /],
    ['a property that was not granted', sub { answer(poll('a', caller_of(org => $org, user => 33, role => 'staff', properties => [7]), 'propertyId=8')) },
        qr/\[failure\] reason=forbidden orgId=$org userId=33 propertyId="8" /],
    ['an Accept without JSON', sub { answer(poll('a', $owner, 'wait=0', Accept => 'text/html')) }, qr/\[failure\] reason=not_acceptable $who /],
    ['a client that hangs up', sub {
        my $socket = poll('a', $owner, 'wait=25');
        wait_for(10, sub { waiters($org) == 1 }) or diag 'not parked';
        close $socket;
    }, qr/\[failure\] reason=gone $who /],
);
for my $case (@cases) {
    my ($what, $do, $expected) = @$case;
    like line_of($what, $do), $expected, "which says so";
}

# sent away by the waiter cap, and those that are answered after it
my $mark = log_mark();
my @parked = map { poll('a', $owner, 'wait=20', 'User-Agent' => 'parked') } 1 .. 6;
ok wait_for(10, sub { waiters($org) == 6 }), 'the waiter cap is reached';
like line_of('a poll above it', sub { answer(poll('a', $owner, 'wait=20')) }), qr/\[failure\] reason=waiter_cap $who /, 'which says so';
publish('a', event($org, eventId => 'lend'));
answer($_) for @parked;
close $_ for @parked;
is scalar(grep { /\[completed\] events=1 .*parked/ } lines($mark, 7)), 6, 'each poll that was woken is a line';

# RealtimeLogIdle 0 of /rt/short/: idle ones are not, all others are
$mark = log_mark();
answer(poll('short', $owner, 'wait=0')) for 1 .. 5;
answer(poll('short', $owner, "wait=0&cursor=$past"));
answer(poll('short', $owner, 'wait=x'));
answer(poll('short', $owner, 'wait=0&cursor=earliest&limit=1'));
my @some = lines($mark, 3);
is_deeply [map { m{/short/|RealtimeSubscribe\]\[(\w+)\] (\S+=\S+)} ? "$1 $2" : $_ } @some],
    ['completed events=0', 'failure reason=invalid_request', 'completed events=1'], 'RealtimeLogIdle leaves out idle polls, and nothing else';

# one in three of a child's idle polls, on a server of one child
SKIP: {
    skip 'a child of prefork counts its own', 1 if ($ENV{TEST_MPM} // '') eq 'prefork';
    my $httpd = My::Server->new('log', realtime => 1, lines => "RealtimeLogIdle 3\n",
        mpm => "StartServers 1\nMaxRequestWorkers 8\nThreadsPerChild 8\nMinSpareThreads 1\nMaxSpareThreads 8\n");
    $httpd->start;
    local $Rt::address = '127.0.0.1:' . $httpd->port;
    answer(poll('a', $owner, 'wait=0')) for 1 .. 9;
    is scalar(() = $httpd->errors =~ /\[RealtimeSubscribe\]\[completed\]/g), 3, 'RealtimeLogIdle 3 logs three of nine';
    $httpd->stop;
}

# what is hostile is one line, cut and without what a terminal obeys
my ($port) = Rt::address() =~ /:(\d+)$/;
sub raw {
    my ($query, @heads) = @_;
    return line_of('a hostile request', sub {
        my $wire = My::Wire->new($port);
        $wire->send(join "\r\n", "GET /rt/a/subscribe?$query HTTP/1.1", 'Host: localhost', "Authorization: $owner", @heads, 'Connection: close', '', '');
        $wire->rest;
    });
}
my $line = raw('wait=0', "User-Agent: \x80\xff\x9b \"quoted\" back\\slash %n%s%x\ttab", 'Origin: x" orgId=1 [completed]');
unlike $line, qr/[^\x20-\x7e]/, 'nothing but printable ASCII';
like $line, qr/ ua="%80%FF%9B %22quoted%22 back%5Cslash %25n%25s%25x%09tab" durationMs=/, 'each other byte is shown by its number';
like $line, qr/ origin="x%22 orgId=1 \[completed\]" ua="/, 'and a quote does not end what it is in';
$line = raw('wait=0', 'User-Agent: ' . 'u' x 4000, 'Origin: ' . 'o' x 4000);
like $line, qr/ origin="o{80}" ua="u{80}" /, 'what is long is cut';
$line = raw('wait=0', 'User-Agent: ' . "\xff" x 4000);
like $line, qr/ ua="(?:%FF){80}" /, 'by what was sent';
$line = raw('wait=0&propertyId=' . '9' x 300);
like $line, qr/propertyId="9{80}" /, 'propertyId is cut as well';
$line = raw('wait=0&propertyId=1%0a%1b[31m[RealtimeSubscribe]%20forged');
like $line, qr/propertyId="1%0A%1B\[31m\[RealtimeSubscribe\] forged" /, 'and makes no line of its own';

# none of it holds a secret
my $log = join '', grep { /RealtimeSubscribe/ } map { "$_\n" } split /\n/, log_since(0);
for my $secret ($owner, $other, $past, $foreign) {
    my $text = $secret =~ s/^Bearer //r;
    is index($log, substr $text, -20), -1, 'no token and no cursor is in any line';
}
done_testing;
