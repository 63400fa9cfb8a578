# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Streams at once (B32): so many a user and an organisation, over all children, exact after hang-ups, the
# death of children and reloads; a refusal says when to come back.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$ENV{TEST_STAGE}/t/realtime", $FindBin::Bin;
use Apache::Test ();
use Http qw(has_h2 h2);
use IO::Select ();
use My::Log qw(expect_error expect_warn);
use My::Server;
use Quota qw(ask caller_of counts fields limits);
use Rt qw(answer wait_for);
use Test::More;
use Time::HiRes qw(time);

expect_error('AH00052: child pid \d+ exit signal Killed');
expect_warn('AH1039[23]');     # the parent's word on so many deaths
my $stage = $ENV{TEST_STAGE};
my $httpd = My::Server->new('streams', realtime => 1, mpm => <<'MPM', lines => <<"CONF")->start;
StartServers       3
<IfModule mpm_prefork_module>
MaxRequestWorkers  30
</IfModule>
<IfModule !mpm_prefork_module>
MaxRequestWorkers  60
MinSpareThreads    1
MaxSpareThreads    60
ThreadsPerChild    20
ServerLimit        8
Protocols h2c http/1.1
</IfModule>
MPM
TenantTrustedEdge none
<Location /streams/>
    AuthType       TenantJWT
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    SetHandler     realtime-subscribe
    RealtimeDomain quota
    QuotaEnable    On
    QuotaPolicy    stream user 3
    QuotaPolicy    stream org 5
    QuotaPolicy    read user 1/h
</Location>
<Location /streams/dry>
    QuotaDryRun On
</Location>
<Location /streams/free>
    QuotaPolicy stream user off
    QuotaPolicy stream org off
</Location>
<Location /server-status>
    SetHandler server-status
</Location>
CONF
$Rt::address = '127.0.0.1:' . ($Quota::port = $httpd->port);

sub poll {
    my ($org, $user, %opt) = @_;
    return Rt::ask('GET', '/streams/' . ($opt{at} // 'x') . '?wait=' . ($opt{wait} // 20), undef, Authorization => caller_of($org, $user));
}

# Polls that are parked, once so many are counted.
sub parked {
    my ($n, @who) = @_;
    my $before = counts()->{Streams};
    my @polls = map { poll(@who) } 1 .. $n;
    ok wait_for(20, sub { counts()->{Streams} == $before + $n }), "$n streams are counted" or diag counts()->{Streams};
    return @polls;
}

sub none_left { return ok wait_for(20, sub { counts()->{Streams} == 0 }), "$_[0]: none is counted" }

my $org = 7500;
my @three = parked(3, ++$org, 1);
my $refused = answer(poll($org, 1)) // die 'no answer';
is $refused->{status}, 429, 'the fourth of a user is refused';
my $problem = Rt::json_of($refused);
my $after = $problem->{details}{retryAfter};
ok $after =~ /^[2-5]$/, "and told when to come back: $after s";
like $refused->{head}, qr/^Retry-After: $after\r$/m, 'in the header, too';
my $sentence = "Too many streams are open. Please retry after $after seconds.";
is_deeply [@$problem{qw(code message details status)}],
    ['stream_limit_exceeded', $sentence, { retryAfter => $after, limitType => 'STREAM_USER', remaining => 0 }, 429], 'in the form of P§16.2';
my %after = map { Rt::json_of(answer(poll($org, 1)))->{details}{retryAfter} => 1 } 1 .. 30;
cmp_ok scalar keys %after, '>=', 2, 'a cohort that is refused spreads';
my @two = parked(2, $org, 2);
is Rt::json_of(answer(poll($org, 2)))->{details}{limitType}, 'STREAM_ORG', 'the sixth of an organisation is refused as that';
is answer(poll(++$org, 1, wait => 0))->{status}, 200, 'another one\'s is not';
is scalar(grep { answer(poll($org, 1, wait => 0))->{status} == 200 } 1 .. 5), 5, 'polls one after the other are one stream, and no reads';

# one is answered: its place is free before its client can come back
close $_ for @three;
ok wait_for(10, sub { counts()->{Streams} == 2 }), 'who hangs up is counted no more';
@three = parked(3, $org - 1, 1);
close $_ for @three, @two;
none_left('all have hung up');
my @kept = map { poll($org, 1, wait => 1) } 1 .. 3;
is join(' ', map { answer($_)->{status} } @kept), '200 200 200', 'three wait for their deadline';
push @kept, map { poll($org, 1, wait => 1) } 1 .. 3;
is join(' ', map { answer($_)->{status} } @kept[3 .. 5]), '200 200 200', 'and are let in again at once, on other connections too';
close $_ for @kept;
none_left('all were answered');

# a place for each, at the same time
$org++;
my @race = map { poll($org, 1) } 1 .. 20;
my $wanted = wait_for(20, sub { 17 == grep { IO::Select->new($_)->can_read(0) } @race });
my @told = map { IO::Select->new($_)->can_read(0) ? answer($_)->{status} : 'parked' } @race;
is join(' ', sort @told), join(' ', (429) x 17, ('parked') x 3), 'of twenty at once three are parked';
close $_ for @race;
none_left('after the race');

# aborts in any moment
for my $round (1 .. 3) {
    my @open = map { poll(7590 + $_, 1, wait => 5) } 1 .. 30;
    close $_ for @open;
}
none_left('after a hundred that hung up at once');

# dry run, and no limits
my @dry = parked(5, ++$org, 1, at => 'dry');
is scalar(grep { IO::Select->new($_)->can_read(0) } @dry), 0, 'a dry run refuses none, and counts all';
cmp_ok counts()->{DryRun}, '>=', 2, 'and says how many it would';
close $_ for @dry;
none_left('after the dry run');
is scalar(grep { answer(poll($org, 1, at => 'free', wait => 0))->{status} == 200 } 1 .. 8), 8, 'where policies are off nothing is counted';

# children that are killed take their streams with them
for my $round (1 .. 3) {
    my @held = (parked(3, ++$org, 1), parked(2, $org, 2));
    my @victims = $round == 3 ? $httpd->children : ($httpd->children)[0];
    kill KILL => @victims;
    ok wait_for(20, sub { !grep { kill 0, $_ } @victims }), @victims . ' children are killed';
    # those of others still count: all of what is left can be taken, and no more
    my $lost = $round == 3 ? 5 : scalar grep { IO::Select->new($_)->can_read(0.5) } @held;
    ok wait_for(20, sub { (eval { counts()->{Streams} } // -1) == 5 - $lost }), "$lost of five streams are gone";
    my $left = eval { counts()->{Streams} } // 'no answer';
    is $left, 5 - $lost, 'and no others';
    my @again = map { poll($org, 3) } 1 .. 4;
    my $room = $lost < 3 ? $lost : 3;
    ok wait_for(20, sub { 4 - $room == grep { IO::Select->new($_)->can_read(0) } @again }), "$room places are free, exactly";
    close $_ for @held, @again;
    none_left('then');
}

# reloads: the old children's polls are answered and counted no more, the limits hold on
for my $round (1 .. 3) {
    my @held = parked(3, ++$org, 1);
    $httpd->graceful;
    is scalar(grep { (answer($_, 20) // { status => 0 })->{status} == 200 } @held), 3, 'a reload answers all';
    none_left('after it');
    @held = parked(3, $org, 1);
    is answer(poll($org, 1))->{status}, 429, 'and the cap holds';
    close $_ for @held;
    none_left('they hung up');
}

SKIP: {
    skip 'no HTTP/2 with prefork', 3 unless has_h2();
    @three = parked(3, ++$org, 1);
    my @as = (Authorization => caller_of($org, 1));
    is h2($httpd->port, 'GET /streams/x?wait=0', @as)->{status}, 429, 'a stream of HTTP/2 is one of them';
    close $_ for @three;
    none_left('they hung up');
}
none_left('in the end');
my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
