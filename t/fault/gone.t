# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Ten thousand clients close in the middle of their polls (F30): within a second none counts as waiting, and
# no descriptor is left. Three thousand lose their server's child and are all back at once (F31): none is
# refused, nobody misses what was published meanwhile, and no other child dies of it.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use IO::Select ();
use List::Util qw(sum);
use My::Log qw(expect_error);
use My::Server;
use Rt qw(answer caller_of event ids json_of metrics poll publish wait_for waiters);
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'only event parks so many' if ($ENV{TEST_MPM} // 'event') ne 'event';
expect_error('AH00484');      # so many who come at once take all threads for a moment, and that is said
my $slow = My::Server::slowness();
use constant { ORG => 761, SOON => 1, BACK_WITHIN => 10, CHILDREN => 2 };
my ($polls, $herd) = $slow == 1 ? (10_000, 3_000) : (1_000, 500);
plan skip_all => 'too few files (ulimit -n)' unless My::Server::want_files(1.8 * $polls);
my $admin = caller_of(org => undef, role => 'admin');

sub has_ended { return IO::Select->new(shift)->can_read(0) }
sub parked { return metrics('a', $admin)->{totals}{parked} }

for my $way (qw(waitio owned)) {
    my $httpd = My::Server->new("gone-$way", realtime => 1, log => "LogLevel warn\n", mpm => My::Server::mpm_for_polls(2400),
        lines => "RealtimePark $way\nRealtimeMaxWaiters $polls\n")->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    is parked(), 0, "$way: it serves";
    my $had = $httpd->files;

    my @polls = map { poll('a', caller_of(org => ORG + $_ % 4), 'wait=25') } 1 .. $polls;
    ok wait_for(20 * $slow, sub { parked() == $polls }), "$polls polls are parked";
    cmp_ok $httpd->files, '>=', $had + $polls, '… with a descriptor each';
    close $_ for @polls;
    my $left = time;
    ok wait_for(10 * $slow, sub { parked() == 0 }), 'all are gone';
    cmp_ok time - $left, '<=', SOON * $slow, '… and known to be, soon';
    is sum(map { waiters(ORG + $_) } 0 .. 3), 0, '… and counted as waiting nowhere';
    # the one that asks has a connection itself
    ok wait_for(10 * $slow, sub { $httpd->files <= $had + 1 }), '… and no descriptor is left'
        or diag $httpd->files . " descriptors, $had before";

    my $from = json_of(answer(poll('a', caller_of(org => ORG), 'wait=0')))->{cursor};
    my @herd = map { poll('a', caller_of(org => ORG), "wait=25&cursor=$from") } 1 .. $herd;
    ok wait_for(20 * $slow, sub { parked() == $herd }), "$herd polls are parked";
    my $most = (sort { $b->{waitio} <=> $a->{waitio} } @{ metrics('a', $admin)->{totals}{children} })[0]{pid};
    my @others = grep { $_ != $most } $httpd->children;
    kill KILL => $most;
    my $began = time;
    ok wait_for(10, sub { !kill 0, $most }), 'the child is gone';
    my %cut = map { $_ => 1 } grep { has_ended($_) } @herd;
    cmp_ok scalar(keys %cut), '>=', $herd / CHILDREN, scalar(keys %cut) . ' of them were with it';
    @herd = map { $cut{$_} ? poll('a', caller_of(org => ORG), "wait=25&cursor=$from") : $_ } @herd;
    is publish('a', event(ORG, eventId => "herd-$way"))->{status}, 202, 'an event is published meanwhile';
    my @answers = map { answer($_, BACK_WITHIN * $slow) } @herd;
    is scalar(grep { defined && $_->{status} == 200 } @answers), $herd, 'all are answered';
    is scalar(grep { ids(json_of($_)) eq "herd-$way" } grep { defined } @answers), $herd, '… with the event, once';
    cmp_ok time - $began, '<=', BACK_WITHIN * $slow, '… soon';
    my %lives = map { $_ => 1 } $httpd->children;
    is scalar(grep { $lives{$_} } @others), @others, '… and no other child died of it';
    is(($httpd->stop('TERM'))[0], 0, 'it ends as it should');
}
done_testing;
