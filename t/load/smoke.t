# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The client of make load and make bench, in small: it finds nothing wrong with a server that does its
# work, and finds what is wrong with one that forgets its events. Times are not looked at here.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use IO::Select ();
use IO::Socket::INET ();
use List::Util qw(sum);
use My::Load qw(pollload start_pollload);
use My::Server ();
use Rt qw(caller_of metrics wait_for);
use Test::More;

my $httpd = My::Server->new('load', realtime => 1);
$httpd->start;
my %small = (port => $httpd->port, pid => $httpd->pid, polls => 20, orgs => 5, quiet => 1);

my $got = pollload(%small, rate => 25, seconds => 2, idle => 1);
is $got->{parked}, 20, 'all polls are parked';
is $got->{sent}, 50, 'an event was sent whenever one was due';
is $got->{published}, 50, '… and each was taken';
is $got->{delivered}, 50 * 4, 'each came to all polls of its organisation';
is $got->{lost}, 0, 'none was lost';
is $got->{duplicates}, 0, 'none came twice';
is $got->{errors}, 0, 'no errors';
cmp_ok $got->{p50_ms}, '<=', $got->{max_ms}, 'latencies are ordered';
cmp_ok $got->{p50_ms}, '>', 0, '… and took some time';
like $got->{$_} // 'absent', qr/^-?\d+\.\d+$/, "$_ is measured" for qw(cpu_us_per_delivery kib_per_poll idle_cpu_percent);

# ended early: what was published until then is accounted for
$Rt::address = '127.0.0.1:' . $httpd->port;
my $admin = caller_of(org => undef, role => 'admin');
my $before = metrics('a', $admin)->{totals}{published};
my $run = start_pollload(%small, rate => 25, seconds => 600);
ok wait_for(60, sub { metrics('a', $admin)->{totals}{published} > $before }), 'it publishes';
$got = $run->result(stop => 1);
cmp_ok $got->{published}, '>', 0, '… and knows it';
cmp_ok $got->{sent}, '<', 600 * 25, 'a run that is told to end ends';
is $got->{lost}, 0, '… and loses nothing by that';

# a stop and a start empties the store: each poll is told of a gap
$run = start_pollload(%small, rate => 25, seconds => 600, drain => 2);
$httpd->stop;
$httpd->start;
ok wait_for(60, sub {
    my $gaps = metrics('a', $admin)->{totals}{gaps};
    return 20 <= sum(values %$gaps);
}), 'the server says so';
$got = $run->result(stop => 1);
cmp_ok $got->{error_gap}, '>=', 20, 'a store that forgot is noticed by every poll';
cmp_ok $got->{errors}, '>=', $got->{error_gap}, '… as errors';

# What nchan says, of events 1 in 4 of which it confirms and forgets.
sub forgetful {
    my $listen = shift;
    my ($select, %text, %parked) = IO::Select->new($listen);
    while (my @ready = $select->can_read) {
        for my $socket (@ready) {
            if ($socket == $listen) { $select->add(scalar $listen->accept); next }
            if (!sysread $socket, $text{$socket}, 65536, length($text{$socket} // '')) { $select->remove($socket); next }
            if ($text{$socket} =~ s{\AGET /sub/(\d+) .*?\r\n\r\n}{}s) { push @{ $parked{$1} }, $socket }
            next unless $text{$socket} =~ s{\APOST /pub/(\d+) .*?\r\n\r\n(.*?"n":(\d+)\}\})}{}s;
            my ($org, $event, $n) = ($1, $2, $3);
            syswrite $socket, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
            next if $n % 4 == 0;
            syswrite $_, "HTTP/1.1 200 OK\r\nEtag: $n\r\nLast-Modified: now\r\nContent-Length: " . length($event) . "\r\n\r\n$event"
                for splice @{ $parked{$org} };
        }
    }
    exit 0;
}
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10, Proto => 'tcp') or die "listen: $!";
my $pid = fork // die "fork: $!";
forgetful($listen) if !$pid;
$got = pollload(port => $listen->sockport, polls => 5, orgs => 5, nchan => 1, quiet => 1, rate => 20, seconds => 2, drain => 1);
kill TERM => $pid;
waitpid $pid, 0;
is $got->{lost}, 10, 'what is lost is counted';
cmp_ok $got->{p50_ms}, '<', 1000, '… and what came has its time';
cmp_ok $got->{p95_ms}, '==', 'inf', '… where what is lost is later than all that came';
done_testing;
