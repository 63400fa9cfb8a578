# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Each way in which a Redis refuses (F20), really caused where it can be; and what something that is
# no Redis may say in its place (B42).
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use IO::Socket::UNIX;
use My::Control;
use My::Redis;
use My::RedisMock;

my $redis = My::Redis->new->start('--enable-debug-command', 'yes', '--busy-reply-threshold', 1);
my $mock = My::RedisMock->new;
my $key = 'quota:write-user:1000/60000000/1000:user:1:1';
my $script;     # a connection with a script that does not end
my @slow = ('--key-load-delay', 500, '--loading-process-events-interval-bytes', 1024);
my @usual = @{ $redis->{args} };

sub config { return $redis->call(qw(CONFIG SET), @_) }

sub endless {
    $script = IO::Socket::UNIX->new(Peer => $redis->socket) // die "redis: $!";
    my $text = 'while true do end';
    $script->printflush("*3\r\n\$4\r\nEVAL\r\n\$" . length($text) . "\r\n$text\r\n\$1\r\n0\r\n");
    for (1 .. 1000) {
        my $reply = $redis->call('PING');
        return 1 if ref $reply && $reply->{error} =~ /^BUSY/;
        select undef, undef, undef, 0.01;
    }
    die 'the script is not busy';
}

# A file that takes seconds to load, since each key is waited for.
sub loading {
    $redis->call(qw(DEBUG POPULATE 6000 k 100));
    $redis->call('SAVE') eq 'OK' or die 'not saved';
    $redis->stop;
    $redis->start(@usual, @slow);
    return $redis->call('PING')->{error} =~ /^LOADING/ ? unlink $redis->dir . '/dump.rdb' : die 'not loading';
}

sub well {
    if ($script) {
        $redis->call(qw(SCRIPT KILL));
        undef $script;
    }
    $redis->call(qw(REPLICAOF NO ONE));
    for (1 .. 3000) {
        my $reply = $redis->call('PING');
        last unless ref $reply;
        select undef, undef, undef, 0.01;
    }
    config(@$_) for ['maxmemory', 0], ['min-replicas-to-write', 0], ['requirepass', ''],
        ['replica-serve-stale-data', 'yes'], ['save', ''];
    $redis->call(qw(ACL SETUSER default on nopass ~* +@all));
    rmdir $redis->dir . '/dump.rdb';
    $redis->call('FLUSHALL');
    return 1;
}

# A save that fails, of a server that was told to save: a folder is in its place.
sub misconf {
    mkdir $redis->dir . '/dump.rdb';
    config(save => '3600 1');
    $redis->call('BGSAVE');
    for (1 .. 1000) {
        return 1 if $redis->call('INFO', 'persistence') =~ /rdb_last_bgsave_status:err/;
        select undef, undef, undef, 0.01;
    }
    die 'the save did not fail';
}

my %refuse = (
    readonly   => sub { $redis->call(qw(REPLICAOF 127.0.0.1 1)) },
    masterdown => sub { config('replica-serve-stale-data', 'no'); $redis->call(qw(REPLICAOF 127.0.0.1 1)) },
    loading    => \&loading,
    oom        => sub { config(maxmemory => 1) },
    noreplicas => sub { config('min-replicas-to-write', 2) },
    busy       => \&endless,
    wrongtype  => sub { $redis->call('DEL', $key); $redis->call(qw(LPUSH), $_, 'x') for $key, 'idempotency:1:1:key'; 1 },
    noauth     => sub { config(requirepass => 'x'); $redis->call(qw(CLIENT KILL TYPE normal SKIPME yes)) },
    noperm     => sub { $redis->call(qw(ACL SETUSER default -eval -evalsha)) },
    misconf    => \&misconf,
    well       => \&well,
);

my %say = (
    verdict      => "*3\r\n:1\r\n:1\r\n:5\r\n",
    moved        => "-MOVED 3999 127.0.0.1:6381\r\n",
    ask          => "-ASK 3999 127.0.0.1:6381\r\n",
    clusterdown  => "-CLUSTERDOWN Hash slot not served\r\n",
    status       => "+OK\r\n",
    integer      => ":7\r\n",
    text         => "\$5\r\nhello\r\n",
    nil          => "\$-1\r\n",
    'nil array'  => "*-1\r\n",
    'empty array' => "*0\r\n",
    negative     => "*3\r\n:1\r\n:-1\r\n:0\r\n",
    nanoseconds  => "*3\r\n:1\r\n:1\r\n:1000000000\r\n",
    'too many'   => "*5\r\n" . ":1\r\n" x 5,
    nested       => "*1\r\n" x 10_000 . ":1\r\n",
    'nested nils' => "*3\r\n:1\r\n*1\r\n\$-1\r\n\$-1\r\n",
    'length -2'  => "\$-2\r\n",
    'length 2 GiB' => "\$2147483648\r\nx",
    'length wraps' => "\$99999999999999999999\r\nx",
    'array 2^31' => "*2147483647\r\n",
    'array -2'   => "*-2\r\n",
    'array million' => "*1000000\r\n:1\r\n",
    'no such type' => "%1\r\n:1\r\n:1\r\n",
    zeros        => "\0" x 100,
    http         => "HTTP/1.1 400 Bad Request\r\n\r\n",
    'line without end' => '+' . 'a' x (3 << 20),
    '3 MiB'      => '$' . (3 << 20) . "\r\n" . 'a' x (3 << 20) . "\r\n",
    'two replies' => "*3\r\n:1\r\n:1\r\n:5\r\n*1\r\n:0\r\n",
    nothing      => '',
    half         => "*3\r\n:1\r\n:1",
);
my %do = (%refuse, map { my $bytes = $say{$_}; ($_ => sub { $mock->says($bytes) }) } keys %say);
$do{'half and end'} = sub { $mock->says($say{half}, 1) };
$do{end} = sub { $mock->says(undef) };

$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{TEST_REDIS} = $redis->server;
$ENV{TEST_REDIS_MOCK} = $mock->server;
my $status = My::Control::run("$ENV{TEST_STAGE}/unit/test_redis_errors", %do);
undef $_ for $script, $redis, $mock;
exit $status;
