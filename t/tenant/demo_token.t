# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# build/demo-token: its keys are made once, its tokens are accepted, its errors are one sentence.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use File::Temp qw(tempdir);
use Http;
use My::Token;
use Test::More;

my $var = tempdir(CLEANUP => 1);
$ENV{ORGSCALE_VAR} = $var;

# Exit status and everything printed.
sub demo_token {
    my $pid = open my $fh, '-|';
    defined $pid or die $!;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec $^X, "$ENV{TEST_STAGE}/src/build/demo-token", @_ or die $!;
    }
    my $out = do { local $/; <$fh> } // '';
    close $fh;
    return ($? >> 8, $out);
}

my @wrong = (
    [[qw(--org 0 --user 1)],                        qr/--org expects/],
    [[qw(--org 01 --user 1)],                       qr/--org expects/],
    [[qw(--org 9007199254740992 --user 1)],         qr/--org expects/],
    [[qw(--org 1 --user x)],                        qr/--user expects/],
    [[qw(--org 1)],                                 qr/--user is missing/],
    [[qw(--user 1)],                                qr/--org is missing/],
    [[qw(--org 1 --user 1 --role boss)],            qr/--role expects/],
    [[qw(--org 1 --user 1 --ttl -5)],               qr/--ttl expects|expected/],
    [['--org', 1, '--user', 1, '--properties', '1,,2'],     qr/--properties expects/],
    [[qw(--org 1 --user 1 --colour red)],           qr/expected --org/],
    [[qw(--org 1 --user 1 more)],                   qr/expected --org/],
    [[],                                            qr/--user is missing/],
);
plan tests => 2 * @wrong + 11;

my ($status, $out) = demo_token(qw(--org 1 --user 2));
is $status, 1, 'without keys there is no token';
like $out, qr/^demo-token: there is no readable key .*\n\z/, 'but a sentence';
is_deeply [demo_token('--make-keys', "$var/keys")], [0, ''], 'keys are made';
is sprintf('%o', (stat "$var/keys/signing.pem")[2] & 07777), '600', 'the private one is private';
my $pem = My::Token::slurp("$var/keys/signing.pem");
demo_token('--make-keys', "$var/keys");
is My::Token::slurp("$var/keys/signing.pem"), $pem, 'and only once';
for (@wrong) {
    my ($args, $sentence) = @$_;
    my ($rc, $said) = demo_token(@$args);
    is $rc, 1, "@$args: refused";
    like $said, qr/^demo-token: [^\n]*$sentence[^\n]*\n\z/, "@$args: in one sentence";
}

my $port = port_of('tenant_client');
My::Token::spew(My::Token::dir() . '/jwks-demo.json', My::Token::slurp("$var/keys/jwks.json"));
sub accepted {
    my ($rc, $token) = demo_token(@_);
    chomp $token;
    for (1 .. 200) {        # httpd looks at the file once a second
        return 1 if request($port, 'GET /demo/page.html', Authorization => "Bearer $token")->{status} == 200;
        select undef, undef, undef, 0.05;
    }
    return 0;
}
ok accepted(qw(--org 1 --user 2)), 'a token of an owner is accepted';
ok accepted('--org', 1, '--user', 2, '--role', 'staff', '--properties', '1,2', '--ttl', 60), 'one of a staff member with properties';
ok accepted(qw(--user 2 --role admin)), 'one of an admin without an organisation';
my @sids = map { JSON::PP::decode_json(MIME::Base64::decode_base64url((split /\./, (demo_token(@$_))[1])[1])) }
    [qw(--org 1 --user 2)], [qw(--org 1 --user 2 --ttl 60)];
isnt $sids[0]{sid}, $sids[1]{sid}, 'each session has an id of its own';
is $sids[0]{exp} - $sids[0]{iat}, 3600, 'an hour unless told';
is $sids[1]{exp} - $sids[1]{iat}, 60, 'or what is told';
