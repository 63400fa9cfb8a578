# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A store that is full lets no new key run, and forgets none before its time.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Idem qw(ask caller_of field key post receive site wait_for);
use My::Log qw(expect_warn);
use Test::More;

expect_warn('OG1207', 'OG1202');
my ($httpd, $backend) = site('idem_full', lines => "IdempotencyMemory 8M\n", locations => {
    '/api/'       => "Idempotency required\nIdempotencyMaxAnswer 21K\n",
    '/api/brief/' => "IdempotencyTTL 8s\nIdempotencyMaxAnswer 90K\n",
});
my $token = caller_of();

# Posts until the store is full: the keys that were taken, the answer to the one that was not, and that
sub fill {
    my ($path, $size, $most) = @_;
    my (@taken, $wire);
    for (1 .. $most) {
        my $key = key('fill');
        $wire = My::Wire->new($httpd->port) if @taken % 50 == 0;      # a connection has its MaxKeepAliveRequests
        my $answer = receive(ask('POST', $path, '{}', wire => $wire, Authorization => $token, 'Content-Type' => 'application/json',
            'Idempotency-Key' => $key, 'X-Do' => "big=$size"));
        return (\@taken, $answer, $key) if $answer->{status} != 201;
        push @taken, $key;
    }
    return (\@taken, undef);
}

my ($taken, $refused) = fill('/api/a', 20_000, 800);
ok $refused, 'a store of 8 MiB is full after ' . @$taken . ' answers of 20 kB';
cmp_ok scalar @$taken, '>=', 130, 'not before most of it is used';
is_deeply [@$refused{qw(status code)}], [503, 'upstream_unavailable'], 'then a new key is refused';
cmp_ok field($refused, 'Retry-After') // 0, '>=', 1, 'for a while';
my @effects = map { $backend->effects($_) } @$taken;
is scalar(grep { $_ != 1 } @effects), 0, 'each key that was taken had one effect';
my @lost = grep { !post('/api/a', $token, $_, '{}')->{replayed} } @$taken;
is_deeply \@lost, [], 'and none is forgotten';
is $backend->effects, scalar @$taken, 'the refused ones had none';

# another size takes a stop and a start
my $mark = $httpd->mark;
my $conf = My::Server::slurp($httpd->dir . '/httpd.conf');
open my $fh, '>', $httpd->dir . '/httpd.conf' or die $!;
print $fh $conf =~ s/IdempotencyMemory 8M/IdempotencyMemory 64M/r;
close $fh or die $!;
$httpd->graceful;
like $httpd->errors($mark), qr/OG1202: IdempotencyMemory: changing it from 8388608 to 67108864 bytes takes a stop and a start/, 'a reload says that it keeps its size';
is_deeply [grep { !post('/api/a', $token, $_, '{}')->{replayed} } @$taken], [], 'and it keeps its keys';
$httpd->stop;
$httpd->start;
is post('/api/a', $token, $taken->[0], '{}')->{replayed}, 0, 'a stop forgets them all';

# what is past its time makes room
open $fh, '>', $httpd->dir . '/httpd.conf' or die $!;
print $fh $conf;
close $fh or die $!;
$httpd->stop;
$httpd->start;
my ($brief, $full, $key) = fill('/api/brief/a', 85_000, 100);
ok $full, 'it is full after ' . @$brief . ' larger ones';
ok wait_for(40, sub { post('/api/brief/a', $token, $key, '{}')->{status} == 201 }), 'the key that was refused is taken when others are past their time';
is $backend->effects($key), 1, 'and has its effect then';
my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
