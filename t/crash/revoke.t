# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F02, F03 for the table of revocations: a child is killed, crashes, or is stopped at each place of a
# revocation in turn. Nobody waits for it, no revocation that was acknowledged is lost, and nobody else
# is refused.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use IO::Select ();
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use My::Server;
use My::Token qw(bearer claims json sign);
use Rt qw(answer ask wait_for);
use Test::More;

# With a margin for a loaded machine: a lock is waited for 100 ms, and a request takes it once or twice
my $within = 3;

expect_error('AH00052: child pid \d+ exit signal (?:Killed|Segmentation fault)', 'AH00050', 'AH00051');
expect_warn('OG1030: 16 revocations are kept', 'OG1031: the lock of the revocations', 'AH10392: children are killed successively');
my $conf = My::Token::dir();
my $hooks = My::Hooks->new;
# four children that look for leaks at once may take longer to end than httpd gives them, on a loaded
# machine; t/tenant/revoke.t has them look
my $env = $hooks->env;
$env->{ASAN_OPTIONS} .= ':detect_leaks=0' if $env->{ASAN_OPTIONS};
my $httpd = My::Server->new('crash_revoke', lines => <<"LINES", mpm => <<'MPM')->start(env => $env);
TenantJWKS        file:$conf/jwks.json
TenantIssuer      https://issuer.test
TenantAudience    orgscale
TenantKeySecret   file:$conf/hs256.secret
TenantRevocations 16
<Location />
    AuthType      TenantJWT
    Require       valid-user
</Location>
<Location /revoke>
    SetHandler    tenant-revoke
</Location>
LINES
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    32
MaxSpareThreads    64
ThreadsPerChild    8
ServerLimit        12
</IfModule>
MPM
$Rt::address = '127.0.0.1:' . $httpd->port;
my $began = int time;
my %revoked;        # by organisation, and acknowledged

# Issued when, in seconds from the start of this test. An admin of an organisation of its own, which none is revoked in
sub caller_of {
    my ($org, $user, $when) = @_;
    return 'Bearer ' . sign('EdDSA', claims(orgId => $org, sub => $user, iat => $began + $when, exp => $began + 3600));
}
my $admin = bearer(org => 4000, user => 9, role => 'admin', ttl => 3600);

# As new as can be: not as old as anything that gave its place up
sub innocent { return 'Bearer ' . sign('EdDSA', claims(orgId => shift, sub => 2, iat => time + 25)) }

sub post {
    my $org = shift;
    return ask('POST', '/revoke', json({ orgId => $org, userId => 1 }), Authorization => $admin, 'Content-Type' => 'application/json');
}

sub acknowledge {
    my ($org, $answer) = @_;
    $revoked{$org} = 1 if $answer && $answer->{status} == 204;
    return $answer;
}

sub status {
    my $who = shift;
    my $answer = eval { answer(ask('GET', '/index.html', undef, Authorization => $who), $within) };
    return $answer ? $answer->{status} : 'none';
}

# Until the crash point struck, or the answer is there
sub revoke_until_struck {
    my $org = shift;
    my $socket = post($org);
    wait_for(2, sub { $hooks->struck || IO::Select->new($socket)->can_read(0) });
    acknowledge($org, answer($socket, $within)) unless $hooks->struck;
    return;
}

my $org = 16;
acknowledge($_, answer(post($_), $within)) for 1 .. $org;      # full
my %operation = (
    'a revocation, in place of the oldest' => sub { revoke_until_struck($org) },
    'one more of the same user'            => sub {
        acknowledge($org, answer(post($org), $within)) unless $hooks->struck;
        revoke_until_struck($org);
    },
    'one while the oldest is revoked again' => sub {
        acknowledge($_, answer(post($_), $within)) for $org - 16 .. $org - 12;
        revoke_until_struck($org);
    },
);
for my $signal (qw(KILL SEGV STOP)) {
    for my $name (sort keys %operation) {
        my $struck = 0;
        for my $nth (1 .. 60) {
            my $what = "SIG$signal at place $nth of $name";
            $org++;
            $hooks->arm($nth, $signal);
            $operation{$name}->();
            my $victim = $hooks->struck;
            $hooks->disarm;
            last unless $victim;
            $struck++;
            # a stopped holder may have the lock: 503. Nobody is let in who may not, or waits
            my $mine = caller_of($org, 1, -10);
            like join(' ', status(innocent($org)), status($admin)), qr/^(?:200|503) (?:200|404|503)$/, "$what: others are answered";
            like status($mine), $revoked{$org} ? qr/^(?:401|503)$/ : qr/^(?:200|401|503)$/, "$what: so is who is meant";
            kill CONT => $victim if $signal eq 'STOP';
            ok wait_for(10, sub {
                my $answer = acknowledge($org, eval { answer(post($org), $within) });
                return $answer && $answer->{status} == 204;
            }), "$what: then it works again";
            # a child that waited in vain answers 503 for another quarter of a second
            my %seen;
            wait_for(5, sub { my @now = map { status($mine) } 1 .. 8; @seen{@now} = (); return !grep { $_ ne 401 } @now });
            like join(' ', sort keys %seen), qr/^401(?: 503)?$/, "$what: and holds";
            ok wait_for(5, sub { status(innocent($org)) eq 200 }), "$what: nobody else is refused";
        }
        cmp_ok $struck, '>=', 3, "$name: $struck places for SIG$signal";
    }
}
my @lost = grep { my $who = caller_of($_, 1, -10); !wait_for(5, sub { status($who) eq 401 }) } sort { $a <=> $b } keys %revoked;
cmp_ok scalar(keys %revoked), '>', 16, 'more were revoked than the table has places';
is "@lost", '', 'none of these is forgotten';
is +($httpd->stop)[0], 0, 'the server stops as it should';
done_testing;
