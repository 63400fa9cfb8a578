$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
exec "$ENV{TEST_STAGE}/unit/test_quota_table" or die "test_quota_table: $!";
