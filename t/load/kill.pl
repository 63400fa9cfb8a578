# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A random child is killed again and again while 100,000 events are published: a client whose
# connection is cut comes back with its cursor, and misses nothing. LOAD_EVENTS, LOAD_KILL_RATE.
use strict;
use warnings FATAL => 'all';
use My::Load qw(realtime_server setting start_pollload verdict verdicts);
use Time::HiRes qw(sleep time);

my $rate = setting(LOAD_KILL_RATE => 500);
my $seconds = int((setting(LOAD_EVENTS => 100_000) + $rate - 1) / $rate);
my $httpd = realtime_server('kill');
my $run = start_pollload(port => $httpd->port, pid => $httpd->pid, polls => 500, orgs => 100, rate => $rate,
    seconds => $seconds);

# as long as it publishes, and no longer: what is missing then comes from what is left
my ($killed, $end) = (0, time + $seconds);
while (time < $end) {
    my @children = $httpd->children;
    $killed += kill KILL => $children[rand @children] if @children;
    sleep 0.3 + rand 0.7;
}
my $got = $run->result;
# a reset and a refused connection are what a death looks like; nothing else is
my $other = $got->{errors} - $got->{error_reset} - $got->{error_connect};
print "\n";
verdict("$killed children were killed", $killed > $seconds / 3, $killed);
verdict('all events were published', $got->{published} == $got->{sent} && $got->{sent} > 0, $got->{published});
verdict('nothing lost', $got->{lost} == 0, $got->{lost});
verdict('no wrong answer, no time-out', $other == 0, $other);
print $httpd->errors =~ s/^.*(?:AH00052|AH00163|AH00094).*\n//gmr;
exit verdicts();
