# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F08: the parent is killed with SIGKILL. Its children answer their polls, give the port free, and end.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use Apache::Test ();
use My::Log qw(expect_error expect_warn);
use My::Server;
use Rt qw(answer caller_of json_of poll wait_for waiters);
use Test::More;

expect_error('OG1507', 'AH02179: apr_socket_accept');
expect_warn('AH00098');       # the pid file of the parent that was killed
my $httpd = My::Server->new('parent', realtime => 1)->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

for my $round (1 .. 3) {
    my @polls = map { poll('a', caller_of(org => 7), 'wait=25') } 1 .. 6;
    ok wait_for(10, sub { waiters(7) == 6 }), 'six polls are parked';
    my @children = $httpd->children;
    kill KILL => $httpd->pid;
    my @said = map { json_of($_) } grep { $_ && $_->{status} == 200 } map { answer($_, 10) } @polls;
    is scalar(grep { $_->{drain} } @said), 6, 'the parent is killed: each is answered, with drain';
    ok wait_for(10, sub { !grep { kill 0, $_ } @children }), 'and the children end within ten seconds';
    ok !$httpd->answers, 'nobody holds the port';
    $httpd->has_ended;
    $httpd->start;
    is waiters(7), 0, 'a new server starts in its place';
}
is(($httpd->stop)[0], 0, 'and stops');
done_testing;
