# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The link to Redis when that stops, freezes, is slow, restarts, or is a replica (F19, F20): no request
# waits for longer than it may, none at all while Redis is known to be down.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Control;
use My::FaultProxy;
use My::Redis;

my $redis = My::Redis->new(port => 1)->start;
my $locked = My::Redis->new->start;
$locked->call(qw(ACL SETUSER carol on >hers ~* +@all));
$locked->call(qw(CONFIG SET requirepass secret));
my ($first, $second) = map { My::Redis->new(port => 1)->start('--repl-diskless-sync-delay', 0) } 1 .. 2;
my $proxy = My::FaultProxy->new($redis->socket);

# A replica that follows is one that knows its primary: until then it would turn writes away for
# another reason
sub follow {
    my ($replica, $primary) = @_;
    $primary->call('REPLICAOF', 'NO', 'ONE');
    $replica->call('REPLICAOF', '127.0.0.1', $primary->port);
    for (1 .. 1000) {
        return 1 if $replica->call('ROLE')->[3] eq 'connected';
        select undef, undef, undef, 0.02;
    }
    die 'the replica does not follow: ' . $replica->log;
}

$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{TEST_REDIS} = $redis->server;
$ENV{TEST_REDIS_TCP} = '127.0.0.1:' . $redis->port;
$ENV{TEST_REDIS_LOCKED} = $locked->server;
$ENV{TEST_REDIS_FIRST} = $first->server;
$ENV{TEST_REDIS_PAIR} = join ' ', map { $_->server } $second, $first;
$ENV{TEST_REDIS_PROXY} = 'unix:' . $proxy->host . '/.s.PGSQL.5432';
follow($second, $first);
my $status = My::Control::run("$ENV{TEST_STAGE}/unit/test_redis_link",
    stop           => sub { $redis->stop },
    start          => sub { $redis->start; 1 },
    freeze         => sub { $redis->freeze },
    thaw           => sub { $redis->thaw },
    slow           => sub { $proxy->set(mode => 'delay', from => 'server', by => 0.06); 1 },
    pass           => sub { $proxy->pass; 1 },
    promote        => sub { follow($first, $second) },
    'promote back' => sub { follow($second, $first) });
undef $_ for $redis, $locked, $first, $second, $proxy;
exit $status;
