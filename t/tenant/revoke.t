# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A revoked session or user is refused at once, in every child, verified before or not; nobody else is.
# It outlives graceful restarts and the death of children, and a full table forgets nothing.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use Http;
use MIME::Base64 qw(encode_base64);
use My::Log qw(expect_error expect_warn);
use My::Server;
use My::Token qw(bearer claims json sign);
use Rt qw(wait_for);
use Test::More;

expect_error('AH00052: child pid \d+ exit signal Killed', 'OG1034: /open is served');
expect_warn('OG1030: 16 revocations are kept');
my $conf = My::Token::dir();
my $httpd = My::Server->new('revoke');
my $dir = $httpd->dir;
my $site = <<"CONF";
TenantJWKS      file:$conf/jwks.json
TenantIssuer    https://issuer.test
TenantAudience  orgscale
TenantKeySecret file:$conf/hs256.secret
LogLevel        info authz_core:crit
Alias /basic    $ENV{TEST_STAGE}/t/htdocs
<LocationMatch "^/(index.html|revoke|small)">
    AuthType    TenantJWT
    Require     valid-user
</LocationMatch>
<LocationMatch "^/(revoke|small|open)">
    SetHandler  tenant-revoke
</LocationMatch>
<Location /small>
    TenantMaxBody 40
</Location>
<Location /basic>
    AuthType Basic
    AuthName site
    AuthBasicProvider file
    AuthUserFile $dir/users
    TenantOrg  "7"
    TenantUser "70"
    Require    valid-user
</Location>
CONF
open my $fh, '>', "$dir/users" or die "users: $!";
print $fh 'someone:', crypt('secret', '$6$salt$'), "\n";
close $fh;
$httpd->configure(lines => $site)->start;
my $port = $httpd->port;
my $admin = bearer(org => undef, user => 99, role => 'admin');
my $now = int time;

# A caller: org, user, session, when the token was issued (undef: it does not say)
sub caller_of {
    my ($org, $user, $session, $iat) = @_;
    return 'Bearer ' . sign('EdDSA', claims(orgId => $org, sub => $user, sid => $session, iat => $iat,
        defined $org ? () : (role => 'admin')));
}

sub ask { return request($port, 'GET /index.html', Authorization => shift) }

# What twenty requests are answered, each on its own connection: one status, when all agree. The
# children share them.
sub statuses {
    my $who = shift;
    my %seen = map { (ask($who)->{status} => 1) } 1 .. 20;
    return join ' ', sort keys %seen;
}

sub post {
    my ($path, $body, @fields) = @_;
    my $text = join '', "POST $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
        'Content-Length: ', length $body, "\r\n";
    @fields = (Authorization => $admin, 'Content-Type' => 'application/json') unless @fields;
    while (my ($name, $value) = splice @fields, 0, 2) {
        $text .= "$name: $value\r\n" if defined $value;
    }
    return Http::parse(exchange($port, "$text\r\n$body"));
}

sub revoke { return post('/revoke', json({ @_ }))->{status} }

# by session
my %who = map { $_->[0] => caller_of(@$_[1 .. 4]) } (
    ['mine', 7, 1, 's1', $now - 10], ['my other session', 7, 1, 's2', $now - 10],
    ['its name elsewhere', 8, 1, 's1', $now - 10], ['a longer name', 7, 1, 's11', $now - 10],
    ['another user', 7, 2, 's3', $now - 10], ['not saying when', 7, 1, 's1', undef],
    ['just renewed', 7, 1, 's1', $now + 20], ['no session', 7, 1, undef, $now - 10],
);
is statuses($who{$_}), 200, "before: $_" for sort keys %who;
my $answer = post('/revoke', '{"orgId":7,"sessionId":"s1"}');
is $answer->{status}, 204, 'a session is revoked';
is $answer->{body}, '', 'without a body';
is $answer->{header}{'cache-control'}, 'no-store', 'not to be stored';
for my $name ('mine', 'not saying when', 'just renewed') {
    is statuses($who{$name}), 401, "$name: refused by every child, though verified before";
    $answer = ask($who{$name});
    is problem($answer)->{code}, 'unauthenticated', 'with the code of all refusals';
    is_deeply problem($answer)->{details}, { reason => 'revoked' }, 'and why';
    is $answer->{header}{'www-authenticate'}, 'Bearer error="invalid_token"', 'and a challenge';
}
is statuses($who{$_}), 200, "$_: let in"
    for 'my other session', 'its name elsewhere', 'a longer name', 'another user', 'no session';
like $httpd->errors, qr/OG1033: revoked by user 99: orgId=7 userId=0 sessionId=s1/, 'it is logged who did';

# by user
is revoke(orgId => 7, userId => 1), 204, 'a user is revoked';
is statuses($who{$_}), 401, "$_: refused" for 'mine', 'my other session', 'a longer name', 'no session';
is statuses($who{$_}), 200, "$_: let in" for 'its name elsewhere', 'another user';
is statuses(caller_of(7, 1, 's9', $now + 25)), 200, 'a token that is issued later is let in';
is statuses(caller_of(7, 1, 's9', undef)), 401, 'one that does not say when is not';

# by user, issued before
is revoke(orgId => 9, userId => 1, issuedBefore => $now - 100), 204, 'what was issued before a time';
is statuses(caller_of(9, 1, 's', $now - 101)), 401, 'a second before: refused';
is statuses(caller_of(9, 1, 's', $now - 100)), 200, 'then: let in';
is revoke(orgId => 9, userId => 1, issuedBefore => $now - 200), 204, 'an earlier time';
is statuses(caller_of(9, 1, 's', $now - 101)), 401, 'takes nothing back';
is revoke(orgId => 9, sessionId => 's', issuedBefore => $now - 50), 204, 'a session, before a time';
is statuses(caller_of(9, 1, 's', $now - 51)), 401, 'a second before: refused';
is statuses(caller_of(9, 1, 's', $now - 50)), 200, 'then: let in';

# of no organisation; another module's callers
my $other = caller_of(undef, 98, 'a1', $now - 10);
is statuses($other), 200, 'an admin of no organisation';
is revoke(orgId => undef, userId => 98), 204, 'is revoked';
is statuses($other), 401, 'and refused';
is statuses($admin), 200, 'the other is not';
my $basic = 'Basic ' . encode_base64('someone:secret', '');
is request($port, 'GET /basic/index.html', Authorization => $basic)->{status}, 200, 'a caller of another module';
is revoke(orgId => 7, userId => 70), 204, 'is revoked';
$answer = request($port, 'GET /basic/index.html', Authorization => $basic);
is $answer->{status}, 401, 'and refused';
is problem($answer)->{details}{reason}, 'revoked', 'for that';

# who may, and how
for (['owner', bearer(org => 7, user => 3), 403, 'forbidden', 'role'], ['nobody', undef, 401, 'unauthenticated', 'missing'],
     ['a revoked admin', $other, 401, 'unauthenticated', 'revoked']) {
    my ($name, $token, $status, $code, $reason) = @$_;
    $answer = post('/revoke', '{"orgId":7,"userId":3}', Authorization => $token, 'Content-Type' => 'application/json');
    is $answer->{status}, $status, "$name may not revoke";
    is problem($answer)->{code}, $code, 'its code';
    is problem($answer)->{details}{reason}, $reason, 'and why';
}
$answer = post('/open', '{"orgId":7,"userId":3}');
is $answer->{status}, 401, 'nor anybody where nobody is verified';
is problem($answer)->{details}{reason}, 'missing', 'whatever token is sent';
for my $method (qw(GET PUT DELETE)) {
    $answer = request($port, "$method /revoke", Authorization => $admin);
    is "$answer->{status} $answer->{header}{allow}", '405 POST', "$method is 405";
}
my $good = '{"orgId":7,"userId":3}';
for (['text/plain', $good, 415], [undef, $good, 415], ['application/json', $good . ' ' x 4096, 413],
     ['application/json; charset=utf-8', $good . ' ' x 5, 413, '/small', ' ' x 20]) {
    my ($type, $body, $status, $path, $more) = @$_;
    $answer = post($path // '/revoke', $body . ($more // ''), Authorization => $admin, 'Content-Type' => $type);
    is $answer->{status}, $status, ($type // 'no type') . ': ' . length($body) . " bytes: $status";
}
my $future = $now + 3600;
for my $body ('', '{', 'null', '[]', '7', '"x"', '{}', '{"orgId":7}', '{"userId":3}', '{"orgId":7,"userId":3,"sessionId":"s"}',
    '{"orgId":0,"userId":3}', '{"orgId":-7,"userId":3}', '{"orgId":"7","userId":3}', '{"orgId":7.0,"userId":3}',
    '{"orgId":9007199254740992,"userId":3}', '{"orgId":true,"userId":3}', '{"orgId":[7],"userId":3}',
    '{"orgId":7,"userId":0}', '{"orgId":7,"userId":"3"}', '{"orgId":7,"userId":null}', '{"orgId":7,"userId":1e3}',
    '{"orgId":7,"sessionId":""}', '{"orgId":7,"sessionId":3}', '{"orgId":7,"sessionId":null}', '{"orgId":7,"sessionId":"a b"}',
    '{"orgId":7,"sessionId":"\u00e9"}', '{"orgId":7,"sessionId":"' . 'x' x 129 . '"}', '{"orgId":7,"sessionId":"a\u0000"}',
    '{"orgId":7,"userId":3,"issuedBefore":0}', '{"orgId":7,"userId":3,"issuedBefore":-1}', '{"orgId":7,"userId":3,"issuedBefore":null}',
    '{"orgId":7,"userId":3,"issuedBefore":1.5}', '{"orgId":7,"userId":3,"issuedBefore":"1"}', "{\"orgId\":7,\"userId\":3,\"issuedBefore\":$future}",
    '{"orgId":7,"userId":3,"issuedBefore":9223372036854775807}', '{"orgId":7,"userId":3,"userId":3}', '{"orgId":7,"userid":3}',
    '{"orgId":7,"userId":3,"all":true}', $good x 2) {
    $answer = post('/revoke', $body);
    is "$answer->{status} " . (problem($answer)->{code} // ''), '400 invalid_request', 'refused: ' . substr $body, 0, 60;
}
is statuses(bearer(org => 7, user => 3)), 200, 'none of these revoked anything';
is revoke(orgId => 7, sessionId => 'x' x 128), 204, 'a session with the longest name';
is statuses(caller_of(7, 3, 'x' x 128, $now)), 401, 'is revoked';
is statuses(caller_of(7, 3, 'x' x 127 . 'y', $now)), 200, 'one that differs in the end is not';

# what outlives what
sub holds {
    my $what = shift;
    is statuses($who{mine}), 401, "$what: a revoked session is refused";
    is statuses($who{'my other session'}), 401, "$what: and a revoked user";
    is statuses($who{$_}), 200, "$what: $_ is let in" for 'another user', 'its name elsewhere';
}
$httpd->graceful;
holds('after a graceful restart');
my @killed = $httpd->children;
kill KILL => @killed;
ok wait_for(20, sub { !grep { kill 0, $_ } @killed }), 'all children are killed';
ok wait_for(20, sub { eval { ask($who{mine})->{status} } }), 'and others come';
holds('after the death of all children');
$httpd->restart;
holds('after a restart');

# full: 16 others, of organisations 101 to 116, then two more
$httpd->configure(lines => "TenantRevocations 16\n$site")->graceful->renewed;
my $mark = $httpd->mark;
my $old = $admin;
$admin = caller_of(undef, 99, 'new', time + 20);
is join(' ', map { revoke(orgId => $_, userId => 1) } 101 .. 118), join(' ', (204) x 18), 'more revocations than there may be';
like $httpd->errors($mark), qr/OG1030: 16 revocations are kept, and there are more/, 'are warned of';
is statuses($who{mine}), 401, 'the oldest are refused still';
is statuses(caller_of($_, 1, 'z', $now - 10)), 401, "one of org $_, too" for 101, 103, 104, 118;
is statuses($who{'another user'}), 401, 'who is as old is refused with them';
is statuses(caller_of(101, 2, 'z', $now - 10)), 401, 'in org 101 as well';
is statuses(caller_of(101, 2, 'z', time + 5)), 200, 'not what was issued since';
is statuses(caller_of($_, 2, 'z', $now - 10)), 200, "other organisations keep their other users ($_)" for 104, 118, 119;
is statuses($who{'its name elsewhere'}), 200, 'org 8 had none revoked';
is statuses($old), 401, 'admins of no organisation had one, so those as old are refused';

# for how long a token that does not say when is refused
$httpd->configure(lines => "TenantRevocationLife 1s\n$site")->graceful->renewed;
is revoke(orgId => 200, userId => 1), 204, 'a user is revoked for a second';
is statuses(caller_of(200, 1, 's', $now - 10)), 401, 'a token from before is refused';
is statuses(caller_of(200, 1, 's', undef)), 401, 'and one that does not say when, for the clocks that differ';
is +($httpd->stop)[0], 0, 'the server stops as it should';
done_testing;
