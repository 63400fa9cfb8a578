# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each directive's value is checked at config test, with a sentence that says what was expected.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::ConfigTest qw(config_test);
use Test::More;

my @refused = (
    ['FinanceDSN nonsense', qr/FinanceDSN: expected a libpq connection string/],
    ['FinanceDSN "host=/tmp nosuchkeyword=1"', qr/FinanceDSN: expected a libpq connection string.*nosuchkeyword/],
    ['FinanceJobDSN "port"', qr/FinanceJobDSN: expected a libpq connection string/],
    ['FinancePoolMax 0', qr/FinancePoolMax: expected a whole number from 1 to 1000, not "0"/],
    ['FinancePoolMax -1', qr/FinancePoolMax: expected a whole number/],
    ['FinancePoolMax 1001', qr/FinancePoolMax: expected a whole number/],
    ['FinancePoolMax 8x', qr/FinancePoolMax: expected a whole number/],
    ['FinancePoolMax 99999999999999999999', qr/FinancePoolMax: expected a whole number/],
    ['FinancePoolWait 0', qr/FinancePoolWait: expected a time from 1ms to 60s/],
    ['FinancePoolWait 61s', qr/FinancePoolWait: expected a time from 1ms to 60s/],
    ['FinancePoolWait 3sec', qr/FinancePoolWait: expected a time/],
    ['FinanceDeadline 5ms', qr/FinanceDeadline: expected a time from 10ms to 60s/],
    ['FinanceDeadline 1h', qr/FinanceDeadline: expected a time from 10ms to 60s/],
    ['FinanceEventDomain ""', qr/FinanceEventDomain/],
    ['FinanceEventDomain ' . 'x' x 33, qr/FinanceEventDomain: expected a name/],
    ["<Location /x>\nFinancePoolMax 3\n</Location>", qr/FinancePoolMax (?:not allowed|cannot occur)/],
    ["<VirtualHost *:1>\nFinancePoolMax 3\n</VirtualHost>", qr/FinancePoolMax cannot occur within/],
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok !$accepted, "refused: $lines";
    like $output, $message, 'with what was expected';
}
for my $lines ('FinanceDSN "host=/tmp user=orgscale_app dbname=x"', 'FinanceDSN postgresql://orgscale_app@/x?host=/tmp',
    'FinancePoolMax 1', 'FinancePoolMax 1000', 'FinancePoolWait 1ms', 'FinanceDeadline 1min', 'FinanceEventDomain finance') {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, "accepted: $lines" or diag $output;
}

# contradictions: accepted, with a warning that says what was expected
my $dsn = qq(FinanceDSN "host=/tmp dbname=x"\n);
for my $case (
    [qq(FinanceJobDSN "host=/tmp dbname=x"\n), qr/OG1613: FinanceJobDSN without FinanceDSN: expected both/],
    ["${dsn}FinancePoolWait 5s\nFinanceDeadline 5s\n", qr/OG1614: FinancePoolWait 5000 ms: expected less than FinanceDeadline, 5000 ms/],
    ["${dsn}FinanceEventDomain nowhere\n", qr/OG1615: FinanceEventDomain nowhere: expected a name that some RealtimeDomain gives/],
    [$dsn, qr/OG1615: FinanceEventDomain finance: /],
) {
    my ($lines, $warning) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok $accepted, "accepted: $lines" or diag $output;
    like $output, $warning, 'with a warning';
}
my ($accepted, $output) = config_test("${dsn}FinanceJobDSN \"host=/tmp dbname=x\"\nFinancePoolWait 1s\nFinanceDeadline 2s\n"
    . "<Location /e>\nRealtimeDomain finance\n</Location>\n");
ok $accepted, 'what fits together is accepted' or diag $output;
unlike $output, qr/OG16/, 'without a warning';
done_testing;
