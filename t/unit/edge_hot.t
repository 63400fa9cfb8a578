$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
exec "$ENV{TEST_STAGE}/unit/test_edge_hot" or die "test_edge_hot: $!";
