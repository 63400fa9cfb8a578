# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Ten minutes of the test's clock, with four children and reloads: as many are let in as the limit says,
# not one more than it and the burst, and not a hundredth less.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$ENV{TEST_STAGE}/t/quota";
use Apache::Test ();
use My::Hooks;
use My::Server;
use My::Wire;
use Quota qw(ask caller_of counts site);
use Test::More;
use Time::HiRes qw(time);

my ($rate, $burst, $minutes) = (100, 20, 10);
my $stage = $ENV{TEST_STAGE};
my $hooks = My::Hooks->new;
my $httpd = My::Server->new('quota_rate', mpm => <<'MPM', lines => qq(CustomLog logs/quota_rate/children "%P"\n) . site(<<"CONF"))->start(env => $hooks->env);
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    48
MaxSpareThreads    64
ThreadsPerChild    16
ServerLimit        8
</IfModule>
MPM
    QuotaPolicy    write user $rate/min burst=$burst
    QuotaPolicy    write org  1000000/s
CONF
$Quota::port = $httpd->port;
my $request = "POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: " . caller_of(7700, 1) . "\r\n\r\n";

# So many at once: how many are let in.
sub admitted {
    my @wires = map { My::Wire->new($httpd->port) } 1 .. shift;
    $_->send($request) for @wires;
    my @status = map { ($_->answer // { status => 'none' })->{status} } @wires;
    my @odd = grep { !/^(?:404|429)$/ } @status;
    die "answered @odd" if @odd;
    return scalar grep { $_ == 404 } @status;
}

# steps that no charge divides: whatever falls between two of them must not be lost
my ($began, $clock, $sum, $asked) = (time, 0, 0, 0);
my $step = 1.37;
my $at_most = sub { $burst + (time - $began + $clock) * $rate / 60 };
my (@too_many, $reloads);
while ($clock < $minutes * 60) {
    # as one charge comes every 0.6 s, two or three in a step: four find the bucket empty
    my $let = admitted($clock ? 4 : $burst + 4);
    $sum += $let;
    push @too_many, $clock if $sum > $at_most->();
    if (int($clock / 120) > ($reloads // 0)) {
        $reloads = int($clock / 120);
        $httpd->graceful;
    }
    $clock += $step;
    $hooks->clock($clock);
}
my $limit = $minutes * $rate;
my $real = time - $began;       # the clock of the server ran on besides
diag sprintf '%d were let in: limit %d, burst %d, %.1f s of real time', $sum, $limit, $burst, $real;
is "@too_many", '', 'at no time more than the limit and the burst';
cmp_ok $sum, '<=', $limit + $burst + $real * $rate / 60, "over ten minutes at most limit and burst: $sum";
cmp_ok $sum, '>=', $limit * 0.99, 'and at least the limit less a hundredth';
cmp_ok $reloads, '>=', 4, "with $reloads reloads";
my %child = map { $_ => 1 } split ' ', My::Server::slurp("$stage/t/logs/quota_rate/children");
cmp_ok scalar keys %child, '>=', 4 + $reloads, 'and many children';
is counts()->{Undecided}, 0, 'nobody passed undecided';

is(($httpd->stop)[0], 0, 'the server stops as it should');
done_testing;
