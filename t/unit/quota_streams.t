$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
exec "$ENV{TEST_STAGE}/unit/test_quota_streams" or die "test_quota_streams: $!";
