# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A hard stop of a server with 2,000 parked polls (F05): each is told to come back, and it is over in about
# a second, also when all the clients leave in that moment. The parent looks for children that are gone
# 0.34, 1.34, 2.34 and 3.34 s after it has told them, and complains the last time (AH00045): a machine that
# has other work to do may miss the second.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use My::Log qw(expect_error);
use My::Server;
use Rt qw(answer caller_of event json_of metrics poll publish wait_for);
use Test::More;

use constant { POLLS => 2000, SHARE => 3 / 4, THREADS => 16, ROUNDS => 2, SOON => 2.8 };
plan skip_all => 'only event parks so many' if ($ENV{TEST_MPM} // 'event') ne 'event';
plan skip_all => 'too few files (ulimit -n)' unless My::Server::want_files(POLLS + 500);
expect_error('AH00484');      # so many who come at once take all threads for a moment, and that is said
my $slow = My::Server::slowness();
my $admin = caller_of(org => undef, role => 'admin');

my $httpd = My::Server->new('stop', realtime => 1, log => "LogLevel warn\n", mpm => My::Server::mpm_for_polls(600));

sub start_with_polls {
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    my @polls = map { poll('a', caller_of(org => $_ % 4 ? 750 : 751), 'wait=25') } 1 .. POLLS;
    ok wait_for(20 * $slow, sub { metrics('a', $admin)->{totals}{parked} == POLLS }), POLLS . ' polls are parked';
    return @polls;
}

# A connection that a worker has in its hands is cut by the MPM: those who came last, perhaps.
sub answers_of {
    my @answers = grep { defined } map { answer($_, 5) } @_;
    cmp_ok scalar(@answers), '>=', POLLS - THREADS, 'each poll is answered';
    return @answers;
}

# Under a sanitizer a child looks for leaks before it ends, which takes longer than the parent's patience.
sub stops_soon {
    my ($what, $mark) = @_;
    my ($status, $took) = $httpd->stop('TERM');
    is $status, 0, "$what: it ends as it should";
    cmp_ok $took, '<=', SOON * $slow, "$what: soon";
    unlike $httpd->errors($mark), qr/AH00045/, "$what: and no child is asked twice" if $slow == 1;
    return;
}

for my $round (1 .. ROUNDS) {
    my @polls = start_with_polls();
    my $mark = $httpd->mark;
    stops_soon('all wait', $mark);
    my @answers = answers_of(@polls);
    is scalar(grep { json_of($_)->{drain} && $_->{head} =~ /^Connection: close\r$/m } @answers), @answers, 'and told that the node drains';
}

# The notifier is in the middle of an event for most of them when the stop comes
for my $round (1 .. ROUNDS) {
    my @polls = start_with_polls();
    my $mark = $httpd->mark;
    is publish('a', event(750))->{status}, 202, 'an event is published';
    stops_soon('most have an event', $mark);
    my @events = grep { @{ json_of($_)->{events} } } answers_of(@polls);
    cmp_ok scalar(@events), '>=', POLLS * SHARE - THREADS, 'those who waited for the event have it';
}

# The children do not run while the clients leave: the MPM learns of all at once, and is then told to stop.
# Not while they are stopped: the parent takes such a child for one that has ended (WUNTRACED).
for my $round (1 .. ROUNDS) {
    my @polls = start_with_polls();
    my $mark = $httpd->mark;
    my @children = $httpd->children;
    kill STOP => @children;
    close $_ for @polls;
    kill CONT => @children;
    stops_soon('all leave', $mark);
}
done_testing;
