$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
exec "$ENV{TEST_STAGE}/unit/test_gcra" or die "test_gcra: $!";
