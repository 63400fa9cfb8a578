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
    (map { ["Idempotency $_", qr/Idempotency: expected off, optional or required, not "/] } 'on', 'yes', '" "', 'require'),
    (map { ["IdempotencyTTL $_", qr/IdempotencyTTL: expected a time from 1s to 2592000s/] } '0', '999ms', '31d', '2m', 'long', '-1s'),
    (map { ["IdempotencyLease $_", qr/IdempotencyLease: expected a time from 3s to 3600s/] } '0', '2s', '61min', '1', 'x'),
    (map { ["IdempotencyInDoubt $_", qr/IdempotencyInDoubt: expected refuse, retry or retry with a time, not "/] } 'run', '" "', 'refuse 3s'),
    (map { ["IdempotencyInDoubt retry $_", qr/IdempotencyInDoubt: expected a time from 1s to 86400s/] } '0', '25h', 'x'),
    (map { ["IdempotencyMaxBody $_", qr/IdempotencyMaxBody: expected a size from 1024 to 67108864 bytes/] } '0', '1023', '65M', 'much', '-1K'),
    (map { ["IdempotencyMaxAnswer $_", qr/IdempotencyMaxAnswer: expected a size from 1024 to 1048576 bytes/] } '0', '1023', '2M', 'much'),
    (map { ["IdempotencyMemory $_", qr/IdempotencyMemory: expected a size from 8388608 to 68719476736 bytes/] } '0', '7M', '65G', 'much'),
    (map { ["IdempotencyRemember $_", qr/IdempotencyRemember: expected off or a size from 8388608 to 68719476736 bytes, not "/] } '0', '7M', '65G', 'on', '" "'),
    (map { ["<VirtualHost *:1>\n$_\n</VirtualHost>", qr/cannot occur within/] } 'IdempotencyStore shm', 'IdempotencyMemory 8M', 'IdempotencyRemember off'),
    (map { ["<Location /x>\n$_\n</Location>", qr/(?:not allowed|cannot occur)/] } 'IdempotencyStore shm', 'IdempotencyMemory 8M', 'IdempotencyRemember 8M'),
    ["Idempotency optional\nIdempotencyStore nowhere", qr/OG1205: IdempotencyStore nowhere: expected shm, or the LoadModule of who provides it/],
    ["Idempotency optional\nIdempotencyStore dbd", qr/OG1205: IdempotencyStore dbd: expected a store of keys alone, such as shm/],
    ["<Location /x>\nIdempotency required\n</Location>\nIdempotencyStore \" \"", qr/OG1205: IdempotencyStore  : expected shm/],
    ["Idempotency optional\nIdempotencyMemory 8M\nIdempotencyMaxAnswer 200K",
     qr/OG1203: IdempotencyMaxAnswer: expected at most \d+ bytes for this IdempotencyMemory, not 204800/],
);
for my $case (@refused) {
    my ($lines, $message) = @$case;
    my ($accepted, $output) = config_test($lines);
    ok !$accepted, "refused: $lines";
    like $output, $message, 'with what was expected';
}
for my $lines ('Idempotency off', 'Idempotency Optional', 'Idempotency required', 'IdempotencyTTL 1s', 'IdempotencyTTL 30d',
    'IdempotencyLease 3s', 'IdempotencyLease 1h', 'IdempotencyInDoubt refuse', 'IdempotencyInDoubt retry', 'IdempotencyInDoubt retry 60s',
    'IdempotencyMaxBody 1K', 'IdempotencyMaxBody 64M', 'IdempotencyMaxAnswer 1024', 'IdempotencyMaxAnswer 1M',
    "Idempotency optional\nIdempotencyMaxAnswer 1M\nIdempotencyMemory 128M", 'IdempotencyStore shm', 'IdempotencyMemory 8M',
    'IdempotencyRemember off', 'IdempotencyRemember Off', 'IdempotencyRemember 8M', 'IdempotencyRemember 64G',
    "Idempotency optional\nIdempotencyMemory 8M", 'IdempotencyStore nowhere',      # which nobody uses
    "<VirtualHost *:1>\nIdempotency required\nIdempotencyTTL 1h\n</VirtualHost>") {
    my ($accepted, $output) = config_test($lines);
    ok $accepted, "accepted: $lines" or diag $output;
}
done_testing;
