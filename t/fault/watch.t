# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# RealtimePark owned where the system watches no more sockets (fs.epoll.max_user_watches, fs.file-max): what
# the notifier can't have stays with the MPM, and no poll is worse off for it.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use My::Log qw(expect_warn);
use My::Server;
use My::Shim;
use Rt qw(answer caller_of event ids json_of poll publish say_on subscribe wait_for waiters);
use Test::More;

plan skip_all => 'owned is for the event MPM' if ($ENV{TEST_MPM} // 'event') ne 'event';
plan skip_all => My::Shim::unfit() if My::Shim::unfit();
expect_warn('OG1525');
use constant POLLS => 16;
my $org = 760;
my $shim = My::Shim->new;
my $httpd = My::Server->new('watch', realtime => 1, lines => "RealtimePark owned\n");

sub token { return caller_of(org => $org) }

sub next_poll {
    my ($socket, $query) = @_;
    return say_on($socket, "GET /rt/a/subscribe?$query HTTP/1.1\r\nHost: localhost\r\nAuthorization: " . token() . "\r\n\r\n");
}

# Polls of several connections, parked, woken, and once more over the same connections.
sub delivers {
    my $what = shift;
    $org++;
    my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
    my @polls;
    for my $round (1 .. 3) {
        my $query = "wait=20&cursor=$cursor";
        @polls = @polls ? map { next_poll($_, $query) } @polls : map { poll('a', token(), $query) } 1 .. POLLS;
        ok wait_for(10, sub { waiters($org) == POLLS }), "$what, $round: polls are parked";
        publish('a', event($org, eventId => "event-$round"));
        my @said = map { json_of(answer($_, 10)) } @polls;
        is scalar(grep { ids($_) eq "event-$round" } @said), POLLS, "$what, $round: and woken, each with the event";
        $cursor = $said[0]{cursor};
    }
    close $_ for @polls;
    ok wait_for(10, sub { !waiters($org) }), "$what: nobody is counted";
    return;
}

# The descriptors of epoll that a child has
sub descriptors {
    my $pid = shift;
    return scalar grep { (readlink // '') eq 'anon_inode:[eventpoll]' } glob "/proc/$pid/fd/*";
}

my %refused = (error => 'ENOSPC', chance => 1, of => 'mod_realtime_lp');
$shim->set(watch => \%refused);
$httpd->start(env => $shim->env);
$Rt::address = '127.0.0.1:' . $httpd->port;
delivers('no bell');
my $children = $httpd->children;
is scalar(() = $httpd->errors =~ /:warn\].*\(28\)No space left on device: .*OG1525: RealtimePark owned: no epoll descriptor/g),
    $children, 'each child says that it has none';
my ($fewer) = map { descriptors($_) } ($httpd->children)[0];

$shim->clear;
my $mark = $httpd->mark;
$httpd->graceful->renewed;
delivers('watched');
unlike $httpd->errors($mark), qr/OG1525/, 'new children have one each';
is descriptors(($httpd->children)[0]), $fewer + 1, 'which the others had given back';

$shim->set(watch => \%refused);
delivers('no socket');
cmp_ok $shim->hits('watch'), '>=', POLLS, 'the notifier was refused each of them';
$shim->clear;
delivers('watched again');
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
