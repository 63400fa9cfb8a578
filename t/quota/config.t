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
    (map { ["QuotaEnable $_", qr/QuotaEnable must be On or Off/], ["QuotaDryRun $_", qr/QuotaDryRun must be On or Off/] } 'Yes', '1', '" "'),
    (map { ["QuotaPolicy $_", qr/QuotaPolicy: expected a class, a scope and a rate, such as write user 100\/min/] }
        '', 'write', 'write user', 'write user 1/s burst=1 more'),
    (map { ["QuotaPolicy $_ user 1/s", qr/QuotaPolicy: expected write, read, sign or stream, not "/] } 'Write', 'delete', '" "', '1'),
    (map { ["QuotaPolicy write $_ 1/s", qr/QuotaPolicy: expected user, org or address, not "/] } 'User', 'tenant', '" "'),
    (map { ["QuotaPolicy write user $_", qr/QuotaPolicy: expected a rate such as 100\/min or 5000\/10min, of 1 to 1000000 in 1s to 1d, or off, not "/] }
        '0/min', '-1/min', '2147483647/min', '2147483648/min', '9223372036854775808/min', '300x/min', '1e3/min', '" 5/min"',
        '100', '5/0', '5/1500ms', '5/2d', '5/week', '5/', 'Off', '" "'),
    (map { ["QuotaPolicy write user 5/min $_", qr/QuotaPolicy: expected burst=1 to burst=1000000, not "/] }
        '20', 'burst=0', 'burst=-1', 'burst=1000001', 'burst=2147483648', 'burst=9223372036854775808', 'burst=1e3', '" "'),
    (map { ["QuotaPolicy stream org $_", qr/QuotaPolicy: expected a number of streams from 1 to 1000000, or off, not "/] }
        '0', '-1', '10/min', '1000001', '1e3', '2147483648', '9223372036854775808', '" "'),
    ['QuotaPolicy stream user 10 burst=2', qr/QuotaPolicy: expected no more than the number of streams, not "burst=2"/],
    (map { ["QuotaClass $_", qr/QuotaClass: expected auto, write, read, sign, stream or none, not "/] } 'Auto', 'get', '" "'),
    ['QuotaClass', qr/QuotaClass takes one argument/],
    (map { ["QuotaStore $_", qr/OG1107: QuotaStore .+: expected shm, or redis where mod_orgscale_redis is loaded/] } 'memory', 'Shm', '" "', 'redis://127.0.0.1'),
    ['QuotaStore', qr/QuotaStore takes one argument/],
    (map { ["QuotaTableSize $_", qr/QuotaTableSize: expected a whole number from 64 to 268435456, not "/] }
        '63', '0', '-1', '268435457', '2147483648', '9223372036854775808', '300x', '1e3', '64K', '" "'),
    (map { ["<Location /x>\n$_\n</Location>", qr/(?:not allowed|cannot occur)/], ["<VirtualHost *:1>\n$_\n</VirtualHost>", qr/cannot occur/] }
        'QuotaStore shm', 'QuotaTableSize 64'),
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok !$accepted, 'refused: ' . $lines =~ s/\n/ | /gr;
    like $output, $message, 'with what was expected';
}

for my $lines (
    "QuotaEnable On\nQuotaDryRun On\nQuotaStore shm\nQuotaTableSize 64\nQuotaClass auto",
    "QuotaTableSize 268435456\nQuotaClass none",
    join("\n", map { my $class = $_; map { "QuotaPolicy $class $_ 1/s" } qw(user org address) } qw(write read sign)),
    "QuotaPolicy stream user 10\nQuotaPolicy stream org 1000000\nQuotaPolicy stream address off",
    "QuotaPolicy write user 1000000/d burst=1000000\nQuotaPolicy read user 1/1s burst=1\nQuotaPolicy sign org 10/30",
    join("\n", map { "<Location /$_>\nQuotaClass $_\nQuotaEnable Off\nQuotaPolicy read user off\n</Location>" } qw(write read sign stream)),
) {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, 'accepted: ' . $lines =~ s/\n/ | /gr or diag $output;
}
done_testing;
