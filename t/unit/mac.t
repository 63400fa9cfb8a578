$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
exec "$ENV{TEST_STAGE}/unit/test_mac" or die "test_mac: $!";
