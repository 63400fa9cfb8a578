# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# P§20.1's realtime gate: 50,000 polls of as many organisations, 500 events a second, 30 minutes: p95
# below 500 ms, errors below 0.1 %, nothing lost. LOAD_POLLS, LOAD_ORGS, LOAD_RATE, LOAD_SECONDS.
use strict;
use warnings FATAL => 'all';
use My::Load qw(pollload realtime_server setting verdict verdicts);

my $polls = setting(LOAD_POLLS => 50_000);
my $httpd = realtime_server('gate');
my $got = pollload(port => $httpd->port, pid => $httpd->pid, polls => $polls, orgs => setting(LOAD_ORGS => $polls),
    rate => setting(LOAD_RATE => 500), seconds => setting(LOAD_SECONDS => 1800), ramp => 20);

my $asked = $got->{answers} + $got->{published};
print "\n";
verdict('all polls were parked', $got->{parked} >= 0.99 * $polls, $got->{parked});
verdict('all events were published', $got->{published} == $got->{sent} && $got->{sent} > 0, $got->{published});
verdict('nothing lost', $got->{lost} == 0, $got->{lost});
verdict('p95 below 500 ms', $got->{p95_ms} < 500, "$got->{p95_ms} ms");
verdict('errors below 0.1 %', $got->{errors} < $asked / 1000, "$got->{errors} of $asked");
print $httpd->errors =~ s/^.*(?:AH00489|AH00094).*\n//gmr;
exit verdicts();
