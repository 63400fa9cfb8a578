# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# B35: users that were picked to share a place of mod_quota's table, for a seed that is known, share it
# where the seed is that one, and in no other server: each start draws its own. What they cost is bounded
# either way; t/unit/quota_table.t counts that.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$ENV{TEST_STAGE}/t/quota";
use Apache::Test ();
use My::Hooks;
use My::Log qw(expect_warn);
use My::Server;
use Quota qw(ask counts site);
use Test::More;

use constant { ORG => 7720, USERS => 60, NEIGHBOURS => 32, SLOTS => 1000, SHARDS => 64 };

# Users whose bucket of this policy begins at one slot of one shard, under the seed of og_hooks_seed()
sub colliding {
    my ($logs, $org, $users, $slots, $shards) = ("$ENV{TEST_STAGE}/t/logs", ORG, USERS, SLOTS, SHARDS);
    My::Token::spew("$logs/colliding.c", <<"C");
#include <apr_siphash.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    unsigned char seed[APR_SIPHASH_KSIZE];
    int user, found = 0;

    memset(seed, 0x5a, sizeof(seed));
    for (user = 1; found < $users; user++) {
        char text[128];
        int len = snprintf(text, sizeof(text), "write-user 3 3600000000 3 user:$org:%d", user);
        apr_uint64_t key = apr_siphash24(text, (apr_size_t)len, seed);

        if (key % $shards == 3 && (key >> 32) % $slots == 5) {
            printf("%d\\n", user);
            found++;
        }
    }
    return 0;
}
C
    my @flags = map { split ' ', `$_` } 'apr-1-config --includes --cppflags', 'apu-1-config --includes', 'apu-1-config --link-ld';
    is system('cc', '-O2', '-o', "$logs/colliding", "$logs/colliding.c", @flags), 0, 'what looks for them is built'
        or BAIL_OUT('no compiler');
    return map { s/\s//r } `$logs/colliding`;
}

my @users = colliding();
is scalar @users, USERS, 'users that collide were found';

# Of these users' first writes: how many had to share a bucket
sub overflowed {
    my ($name, $hooks) = @_;
    my $httpd = My::Server->new($name, lines => 'QuotaTableSize ' . SLOTS * SHARDS . "\n" . site(<<'CONF'))->start(env => $hooks->env);
    QuotaPolicy    write user 3/h
CONF
    $Quota::port = $httpd->port;
    my @status = map { ask('POST /x', by => [ORG, $_])->{status} } @users;
    my ($shared, $errors) = (counts()->{Overflowed}, $httpd->errors);
    is(($httpd->stop)[0], 0, "$name: the server stops as it should");
    return ($shared, join(' ', map { my $status = $_; "$status:" . grep { $_ eq $status } @status } 404, 429), $errors);
}

expect_warn('OG1103');
my $hooks = My::Hooks->new;
$hooks->fix_seed(1);
my ($shared, $statuses, $errors) = overflowed('flood_guessed', $hooks);
is $shared, USERS - NEIGHBOURS, 'under the seed that was guessed a neighbourhood is theirs, and the rest shares';
is $statuses, '404:35 429:25', 'one bucket of three';
like $errors, qr/OG1103/, 'which is said';

$hooks->fix_seed(0);
for my $start (1, 2) {
    ($shared, $statuses, $errors) = overflowed("flood_$start", $hooks);
    is $shared, 0, 'under a seed of its own each has a bucket';
    is $statuses, '404:60 429:0', 'and is let in';
}
done_testing;
