# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The partition key (B13): what a trusted edge is told of an organisation says nothing to those who
# do not have the secret, is another one for each organisation, and changes with the secret.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use Digest::SHA qw(hmac_sha256_hex sha1_hex sha256_hex);
use My::Server;
use My::Token ();
use Rt qw(caller_of request);
use Test::More;

my %secret = map { $_ => My::Token::spew("$ENV{TEST_STAGE}/t/conf/partition-$_.secret", sha256_hex("secret $_")) } qw(one two);
sub lines {
    my ($edge, @files) = @_;
    return "TenantTrustedEdge $edge\n" . (@files ? 'TenantKeySecret ' . join(' ', map { "\"file:$_\"" } @files) . "\n" : '');
}
my $httpd = My::Server->new('partition', realtime => 1, lines => lines('127.0.0.0/8', $secret{one}));
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

# Ids side by side, of one digit more, of bits that a narrower type would drop
my @orgs = (1 .. 24, 70, 77, 100, 101, 110, 111, 1000, 1001, 10_000_000, 10_000_001, 2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**32 + 1,
    2**32 + 2, 2**48 + 1, 2**52 + 1, 9_007_199_254_740_990, 9_007_199_254_740_991);
my %token = map { $_ => caller_of(org => $_) } @orgs;

sub ask { return request('GET', '/rt/a/subscribe?wait=0', undef, Authorization => shift) }
sub key_of {
    my $res = ask(shift);
    return $res->{status} == 200 && $res->{head} =~ /^X-Org-Key: ([^\r]*)\r$/m ? $1 : "none ($res->{status})";
}
sub keys_now { return map { $_ => key_of($token{$_}) } @orgs }
sub distinct { my %seen = map { $_ => 1 } @_; return scalar keys %seen }

my %one = keys_now();
is_deeply [grep { !/^[0-9a-f]{16}$/ } values %one], [], 'each organisation has a key of 16 hex digits';
is distinct(values %one), @orgs, 'of its own';
is_deeply { map { $_ => $one{$_} } @orgs }, { map { $_ => substr hmac_sha256_hex("org:$_:tenant-isolation-key", sha256_hex('secret one')), 0, 16 } @orgs },
    'the HMAC of P§13.1\'s text under the secret';

# who knows all but the secret can't make it
my %guess;
for my $org (@orgs) {
    for my $text ($org, "org:$org", "org:$org:tenant-isolation-key", "org:$org:tenant-isolation-key\n", "$org:tenant-isolation-key", "tenant:$org") {
        $guess{ substr $_, 0, 16 } = $text for sha256_hex($text), sha1_hex($text),
            map { hmac_sha256_hex($text, $_) } '', '0', 'secret', 'changeme', 'TenantKeySecret', 'tenant-isolation-key', "org:$org", "$org", $secret{one};
    }
}
is_deeply [map { $guess{$_} } grep { $guess{$_} } values %one], [], 'it is no hash of the id, nor one under a secret that can be guessed';

# the same caller in another role, session, with other properties: the key is the organisation's
is distinct(map { key_of(caller_of(org => 7, @$_)) } [], [user => 9], [role => 'manager', properties => [1]], [session => 'x'],
    [role => 'admin']), 1, 'it is the same for all of an organisation';
is key_of(caller_of(org => undef, role => 'admin')), 'none (403)', 'who is of no organisation has none';

# ids that would be another text, or the same
for my $id ('1:tenant-isolation-key', '1:tenant-isolation-key:org:2', '01', '1 ', ' 1', "1\n", '+1', '1.0', "1\0", '-1', '0', '1,2', "\x{ff11}",
    '9007199254740992', '18446744073709551617') {
    my $res = ask('Bearer ' . My::Token::sign('EdDSA', My::Token::claims(orgId => $id)));
    is $res->{status}, 401, 'no organisation: ' . My::Token::json($id);
    unlike $res->{head}, qr/^X-Org-Key/mi, 'and no key';
}
unlike request('GET', '/rt/a/subscribe?wait=0')->{head}, qr/^X-Org-Key/mi, 'nobody verified, no key';

# another secret: other keys, every one of them; the secret before does not matter to what is made
$httpd->configure(realtime => 1, lines => lines('127.0.0.0/8', @secret{qw(two one)}))->graceful;
Rt::wait_for(20, sub { key_of($token{1}) ne $one{1} });
my %two;
ok Rt::wait_for(20, sub { %two = keys_now(); my %old = map { $_ => 1 } values %one; return !grep { $old{$_} } values %two }),
    'a new secret makes other keys, for each organisation';
is distinct(values %two), @orgs, 'each of its own again';
$httpd->configure(realtime => 1, lines => lines('127.0.0.0/8', $secret{one}))->graceful;
my %again;
ok Rt::wait_for(20, sub { %again = keys_now(); return !grep { $again{$_} ne $one{$_} } @orgs }), 'the first secret makes the first keys';

# a peer that is no edge is told nothing
$httpd->configure(realtime => 1, lines => lines('192.0.2.1', $secret{one}))->graceful;
ok Rt::wait_for(20, sub { !grep { !/^none \(200\)$/ } map { key_of($token{$_}) } (1, 2) x 5 }), 'who is no trusted edge sees no key';
done_testing;
