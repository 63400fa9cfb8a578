# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# 100 graceful restarts in a row while 1,000 polls wait and events come: no client sees an error, no
# event is lost, and the children of each generation are gone within 5 seconds. LOAD_RESTARTS,
# LOAD_RESTART_POLLS.
use strict;
use warnings FATAL => 'all';
use My::Load qw(realtime_server setting start_pollload verdict verdicts);
use Time::HiRes qw(sleep time);

my $restarts = setting(LOAD_RESTARTS => 100);
my $polls = setting(LOAD_RESTART_POLLS => 1000);
my $httpd = realtime_server('graceful');
my $run = start_pollload(port => $httpd->port, pid => $httpd->pid, polls => $polls, orgs => 100, rate => 50,
    seconds => $restarts * 40);

my $longest = 0;
for my $n (1 .. $restarts) {
    my @old = $httpd->children;
    my $began = time;
    $httpd->graceful;
    # the children of one generation end one by one; 40 s: as a fault, not for ever
    while (grep { kill 0, $_ } @old) {
        last if time > $began + 40;
        sleep 0.02;
    }
    my $took = time - $began;
    printf "restart %d: old children gone after %.2f s\n", $n, $took if $took > 5;
    $longest = $took if $took > $longest;
}
my $got = $run->result(stop => 1);
print "\n";
verdict("$restarts restarts: old children gone within 5 s", $longest <= 5, sprintf '%.2f s', $longest);
verdict('all events were published', $got->{published} == $got->{sent} && $got->{sent} > 0, $got->{published});
verdict('nothing lost', $got->{lost} == 0, $got->{lost});
# a request that crosses the end of its kept connection is sent again, as every HTTP client does
verdict('no client saw an error', $got->{errors} == 0, "$got->{errors} ($got->{stale} sent again)");
print $httpd->errors =~ s/^.*(?:notice|AH00163|AH00094).*\n//gmr;
exit verdicts();
