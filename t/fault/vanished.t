# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Clients that vanish without a word (F29): no packet comes from them, and none gets there. Their polls end
# at their time, what they are answered waits in the socket for nobody, and their connections are given up
# within the time that httpd's directives say, however they are parked.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use My::Network;
use Test::More;

BEGIN {
    plan skip_all => My::Network::unfit() if My::Network::unfit();
    My::Network::own();
}
use Apache::Test ();
use My::Server;
use Rt qw(answer caller_of event json_of metrics poll publish wait_for waiters);
use Time::HiRes qw(sleep time);

# Seconds of a poll, which waitio wants to be less than Timeout; then that or KeepAliveTimeout; then for how
# long httpd reads on behind the end
use constant { POLLS => 8, WAIT => 4, LIVES => 6, LINGERS => 30 };
my $slow = My::Server::slowness();
my @ways = ($ENV{TEST_MPM} // 'event') eq 'event' ? qw(waitio owned condvar) : qw(condvar);
my %server = map { $_ => My::Server->new("vanished-$_", realtime => 1, lines => <<"CONF")->start } @ways;
MaxKeepAliveRequests 0
Timeout          @{[LIVES]}
KeepAliveTimeout @{[LIVES]}
RealtimePark     $_
CONF

sub at {
    my ($way, $do) = @_;
    local $Rt::address = '127.0.0.1:' . $server{$way}->port;
    return $do->();
}

sub sockets { return $server{$_[0]}->files(qr/^socket:/) }

my (%had, %polls, %began);
for my $way (@ways) {
    at($way, sub {
        ok wait_for(10 * $slow, sub { waiters(77) == 0 }), "$way: it serves";
        ok wait_for(10 * $slow, sub { my $n = sockets($way); sleep 0.3; $n == sockets($way) }), '… and is at rest';
        $had{$way} = sockets($way);
    });
}
for my $way (@ways) {
    at($way, sub {
        $began{$way} = time;
        $polls{$way} = [map { poll('a', caller_of(org => 78), 'wait=' . WAIT) } 1 .. POLLS];
        ok wait_for(10 * $slow, sub { waiters(78) == POLLS }), "$way: the polls are parked";
        cmp_ok sockets($way), '>=', $had{$way} + POLLS, '… with a socket each';
    });
}

My::Network::lose(1);
my $lost = time;
for my $way (@ways) {
    my $left = $lost + (WAIT + LIVES + LINGERS) * $slow - time;
    ok wait_for($left, sub { sockets($way) <= $had{$way} }), "$way: their connections are given up"
        or diag sockets($way) . " sockets, $had{$way} before";
    cmp_ok time - $began{$way}, '>=', WAIT, '… behind their polls\' time';
}

My::Network::lose(0);
for my $way (@ways) {
    at($way, sub {
        is waiters(78), 0, "$way: nobody waits";
        my $poll = poll('a', caller_of(org => 78), 'wait=20');
        ok wait_for(10 * $slow, sub { waiters(78) == 1 }), '… but who comes now';
        is publish('a', event(78))->{status}, 202, '… is told';
        is scalar @{ json_of(answer($poll, 10 * $slow))->{events} }, 1, '… of an event';
    });
    is +($server{$way}->stop('TERM'))[0], 0, '… and it ends as it should';
}
done_testing;
