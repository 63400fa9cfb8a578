# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A parked poll whose session or user is revoked is answered at once with 401, whichever way and in
# whichever child it is parked; everybody else's stay parked.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use My::Server;
use My::Token;
use Rt qw(answer caller_of event ids json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(time);

my $mpm = $ENV{TEST_MPM} // 'event';
my $conf = My::Token::dir();
my $httpd = My::Server->new('revoked');

sub site {
    my $park = shift;
    return (realtime => 1, lines => <<"CONF");
RealtimePark $park
CustomLog $ENV{TEST_STAGE}/t/logs/revoked/children "%P %{X-Poll}i" "expr=-n req('X-Poll')"
<IfModule !mpm_prefork_module>
    Protocols h2c http/1.1
</IfModule>
TenantKeySecret file:$conf/hs256.secret
<Location /revoke>
    AuthType       TenantJWT
    TenantJWKS     file:$conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    SetHandler     tenant-revoke
</Location>
CONF
}
$httpd->configure(site('auto'))->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

my $admin = caller_of(org => 1, user => 99, role => 'admin');
my ($org, $round) = (500, 0);

sub revoke {
    my $res = request('POST', '/revoke', My::Token::json({ orgId => $org, @_ }), Authorization => $admin,
        'Content-Type' => 'application/json');
    return $res->{status};
}

sub totals { return metrics('a', $admin)->{totals} }

# The children that held the polls of a mark, when all of them are logged.
sub children {
    my ($mark, $count) = @_;
    my %pid;
    wait_for(10, sub {
        open my $fh, '<', "$ENV{TEST_STAGE}/t/logs/revoked/children" or return 0;
        my @lines = grep { / \Q$mark\E$/ } <$fh>;
        %pid = map { /^(\d+) / ? ($1 => 1) : () } @lines;
        return @lines == $count;
    });
    return scalar keys %pid;
}

for my $park ('auto', $mpm eq 'event' ? 'condvar' : ()) {
    $httpd->configure(site($park))->graceful->renewed if $park ne 'auto';
    my ($children, $right, $kept, @took) = (0, 1, 1);
    # which child takes a connection is the kernel's choice: rounds go on until two held some
    while ($children < 2 && $round < 40 || $round % 5) {
        $round++;
        $org++;
        my $session = "gone$round";
        my $mine = caller_of(org => $org, session => $session);
        my %stays = (
            'another session' => caller_of(org => $org, session => "stays$round"),
            'another user'    => caller_of(org => $org, user => 2, session => "two$round"),
            'another org'     => caller_of(org => $org + 50_000, session => $session),
        );
        my @polls = map { poll('a', $mine, 'wait=25', 'X-Poll' => "r$round") } 1 .. 4;
        my %other = map { $_ => poll('a', $stays{$_}, 'wait=25') } sort keys %stays;
        wait_for(10, sub { waiters($org) == 6 && waiters($org + 50_000) == 1 }) or BAIL_OUT('polls are not parked');
        my $sent = time;
        revoke(sessionId => $session) == 204 or BAIL_OUT('nothing is revoked');
        for my $res (map { answer($_, 10) } @polls) {
            my $said = $res && $res->{status} == 401 && $res->{head} =~ /^WWW-Authenticate: Bearer error="invalid_token"\r$/m
                && $res->{head} =~ m{^Content-Type: application/problem\+json\r$}m && json_of($res);
            $right &&= $said && $said->{code} eq 'revoked' && $said->{details}{reason} eq 'revoked';
            push @took, $res ? $res->{at} - $sent : 10;
        }
        @polls = ();
        $kept &&= waiters($org) == 2 && waiters($org + 50_000) == 1;
        publish('a', event($_, eventId => "e$round")) for $org, $org + 50_000;
        $kept &&= ids(json_of(answer($other{$_}) // BAIL_OUT("$_ is not answered"))) eq "e$round" for keys %other;
        my $held = children("r$round", 4);
        $children = $held if $held > $children;
    }
    @took = sort { $a <=> $b } @took;
    ok $right, "$park: each poll of a revoked session is answered 401 revoked";
    cmp_ok $took[@took / 2], '<=', 0.2, sprintf '%s: within 200 ms (median %.1f, most %.1f ms of %d)', $park,
        1000 * $took[@took / 2], 1000 * $took[-1], scalar @took;
    cmp_ok $children, '>=', 2, "$park: in several children";
    ok $kept, "$park: other sessions, users and organisations stay parked, and are woken by events";

    # while it gathers more: the event that it has is not for them any more
    my @linger;
    for (1 .. 5) {
        $org++;
        my $poll = poll('a', caller_of(org => $org, session => "l$org"), 'wait=25&linger=5000');
        wait_for(10, sub { waiters($org) == 1 }) or BAIL_OUT('a poll is not parked');
        publish('a', event($org, eventId => 'secret'));
        my $sent = time;
        revoke(userId => 1);
        my $res = answer($poll, 15) // { status => 0, body => '', at => time };
        push @linger, $res->{status} == 401 && $res->{body} !~ /secret/ && $res->{at} - $sent < 3;
    }
    is_deeply \@linger, [(1) x 5], "$park: one that lingers is answered at once, without its events";

    # at the very moment that it comes
    my %early;
    for (1 .. 40) {
        $org++;
        my $poll = poll('a', caller_of(org => $org, session => "e$org"), 'wait=25');
        select undef, undef, undef, rand 0.004;
        revoke(sessionId => "e$org");
        my $res = answer($poll, 5) // { status => 'none' };
        $early{$res->{status}}++;
    }
    is_deeply \%early, { 401 => 40 }, "$park: none that comes with its revocation stays parked";
    ok wait_for(5, sub { totals()->{parked} == 0 }), "$park: and nothing stays behind";
}

# the same connection afterwards
$org++;
my $before = totals()->{revoked};
my $mark = $httpd->mark;
my $token = caller_of(org => $org, session => 'again');
my $socket = poll('a', $token, 'wait=25');
ok wait_for(5, sub { waiters($org) == 1 }), 'a poll is parked';
revoke(sessionId => 'again');
is answer($socket, 5)->{status}, 401, 'and ended';
is totals()->{revoked}, $before + 1, 'which is counted';
like $httpd->errors($mark), qr/\[RealtimeSubscribe\]\[failure\] reason=revoked orgId=$org userId=1 /, 'and logged';
print $socket "GET /rt/a/subscribe?wait=25 HTTP/1.1\r\nHost: localhost\r\nAuthorization: $token\r\n\r\n";
$socket->flush;
my $next = answer($socket, 5);
is $next->{status}, 401, 'the next poll on its connection is refused';
is json_of($next)->{details}{reason}, 'revoked', 'for the same reason';

SKIP: {
    skip 'prefork has no HTTP/2', 2 if $mpm eq 'prefork';
    $org++;
    my $who = caller_of(org => $org, session => 'h2');
    my @curls = map {
        open my $fh, '-|', 'curl', '-s', '--http2-prior-knowledge', '-m', 20, '-w', ' %{http_code} %{time_total}', '-H',
            "Authorization: $who", "http://$Rt::address/rt/a/subscribe?wait=25" or die "curl: $!";
        $fh;
    } 1 .. 3;
    ok wait_for(10, sub { waiters($org) == 3 }), 'polls over HTTP/2 are parked';
    revoke(sessionId => 'h2');
    is scalar(grep { /"code":"revoked".* 401 / } map { local $/; scalar <$_> } @curls), 3, 'and ended';
}
my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
