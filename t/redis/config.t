# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each directive's value is checked at config test, with a sentence that says what was expected.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use My::ConfigTest qw(config_test);
use Test::More;

my $secret = "$ENV{TEST_STAGE}/redis_password";
sub spew {
    my ($file, $text) = @_;
    open my $fh, '>', $file or die "$file: $!";
    print $fh $text;
    close $fh or die "$file: $!";
    return;
}
spew($secret, "secret\n");
spew("$secret.empty", "\n");

my $address = qr/RedisServer: expected HOST:PORT, \[ADDRESS\]:PORT or unix:\/PATH, not/;
my @refused = (
    ['RedisServer localhost', $address],
    ['RedisServer localhost:0', $address],
    ['RedisServer localhost:65536', $address],
    ['RedisServer 10.0.0.1:6379 ::1:6379', $address],
    ['RedisServer redis://localhost:6379', $address],
    ['RedisServer "a b:1"', $address],
    ['RedisServer unix:redis.sock', qr/RedisServer: expected unix:\/PATH of at most 107 characters, not "unix:redis.sock"/],
    ['RedisServer unix:/' . 'x' x 107, qr/RedisServer: expected unix:\/PATH of at most 107/],
    ['RedisServer a:1 b:1 a:1', qr/RedisServer: expected each server once, not "a:1" again/],
    ['RedisServer ' . join(' ', map { "h$_:1" } 1 .. 9), qr/RedisServer: expected at most 8 servers/],
    ['RedisPassword secret', qr/RedisPassword: expected file:PATH, not "secret"/],
    ["RedisPassword file:$secret.none", qr/RedisPassword: \S+: No such file/],
    ["RedisPassword file:$secret.empty", qr/RedisPassword: \S+: expected a secret of at least 1 bytes, not 0/],
    ["RedisPassword file:$secret \"a b\"", qr/RedisPassword: expected a user of at most 128 visible ASCII characters, not "a b"/],
    ["RedisPassword file:$secret " . 'x' x 129, qr/RedisPassword: expected a user of at most 128/],
    ['QuotaStore redis', qr/OG1107: QuotaStore redis: expected RedisServer/],
    ["IdempotencyStore redis\n<Location /x>\nIdempotency optional\n</Location>", qr/OG1205: IdempotencyStore redis: expected RedisServer/],
    ['RedisDatabase -1', qr/RedisDatabase: expected a whole number from 0 to 65535, not "-1"/],
    ['RedisDatabase 65536', qr/RedisDatabase: expected a whole number/],
    ['RedisDatabase x', qr/RedisDatabase: expected a whole number/],
    ['RedisTimeout 0', qr/RedisTimeout: expected a time from 1ms to 1s/],
    ['RedisTimeout 2s', qr/RedisTimeout: expected a time from 1ms to 1s/],
    ['RedisTimeout 20', qr/RedisTimeout: expected a time from 1ms to 1s/],
    ['RedisConnections 0', qr/RedisConnections: expected a whole number from 1 to 100, not "0"/],
    ['RedisConnections 101', qr/RedisConnections: expected a whole number/],
    ['RedisPrefix ""', qr/RedisPrefix/],
    ['RedisPrefix a:b', qr/RedisPrefix: expected 1 to 64 of A-Z, a-z, 0-9, '\.', '_' and '-', not "a:b"/],
    ['RedisPrefix {a}', qr/RedisPrefix: expected 1 to 64 of/],
    ['RedisPrefix ' . 'x' x 65, qr/RedisPrefix: expected 1 to 64 of/],
    ["<Location /x>\nRedisTimeout 20ms\n</Location>", qr/RedisTimeout (?:not allowed|cannot occur)/],
    (map { ["<VirtualHost *:1>\n$_\n</VirtualHost>", qr/cannot occur within/] }
        'RedisServer a:1', "RedisPassword file:$secret", 'RedisDatabase 1', 'RedisTimeout 20ms', 'RedisConnections 2', 'RedisPrefix x'),
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok !$accepted, "refused: $lines";
    like $output, $message, 'with what was expected';
}
for my $lines ('RedisServer localhost:6379', "RedisServer a:1\nQuotaStore redis", "RedisServer a:1\nIdempotencyStore redis",
    'RedisServer 10.0.0.1:6379 [::1]:6379 unix:/run/redis.sock', "RedisServer a:1\nRedisServer b:1",
    'RedisServer ' . join(' ', map { "h$_:1" } 1 .. 8), 'RedisServer unix:/' . 'x' x 106,
    (map { "RedisServer a:1\n$_" } "RedisPassword file:$secret", "RedisPassword file:$secret carol", 'RedisDatabase 0', 'RedisDatabase 65535',
        'RedisTimeout 1ms', 'RedisTimeout 1s', 'RedisConnections 1', 'RedisConnections 100', 'RedisPrefix A.b_c-9')) {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, "accepted: $lines" or diag $output;
    unlike $output, qr/OG21/, 'without a warning';
}

# a contradiction: accepted, with a warning that says what was expected
for my $lines ("RedisPassword file:$secret", 'RedisDatabase 1', 'RedisTimeout 20ms', 'RedisConnections 2', 'RedisPrefix x') {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, "accepted: $lines" or diag $output;
    like $output, qr/OG2110: directives for Redis, and no server: expected RedisServer/, 'with a warning';
}
done_testing;
