# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Quota;

# Requests as t/quota writes them: who asks, from which network, and what the answer says of limits.

use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant";
use Exporter 'import';
use HTTP::Tiny ();
use Http qw(port_of problem);
use IO::Socket::INET ();
use My::Token ();
our @EXPORT_OK = qw(ask caller_of counts fields limits port send_on site statuses);

# Where requests go: another server than the suite's, when a test says so.
our $port;

sub port { return $port //= port_of('quota') }

my %token;

# The Authorization value of a user of an organisation.
sub caller_of {
    my ($org, $user) = @_;
    return $token{"$org:$user"} //= My::Token::bearer(org => $org, user => $user, ttl => 7200);
}

# ask('POST /named/page.html', by => [org, user], from => '127.0.9.1', body => 'x', Name => value, …):
# the answer, as Http::request gives it.
sub ask {
    my ($what, %opt) = @_;
    my ($by, $from, $body) = delete @opt{qw(by from body)};
    $opt{Authorization} //= caller_of(@$by) if $by;
    $opt{'Content-Length'} //= length $body if defined $body;
    my $head = join '', map { "$_: $opt{$_}\r\n" } sort keys %opt;
    return send_on("$what HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n$head\r\n" . ($body // ''), $from);
}

sub send_on {
    my ($bytes, $from) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => port(), Timeout => 20,
        ($from ? (LocalAddr => $from) : ())) or die "connect: $!";
    local $SIG{ALRM} = sub { die "no answer to $bytes" };
    alarm 60;
    local $SIG{PIPE} = 'IGNORE';
    print $socket $bytes;
    my $answer = do { local $/; <$socket> } // '';
    alarm 0;
    return Http::parse($answer);
}

# Statuses of the same request so many times, in one word.
sub statuses {
    my ($times, @request) = @_;
    return join ' ', map { ask(@request)->{status} } 1 .. $times;
}

# The names of an answer's limit headers.
sub fields { return join ' ', grep { /ratelimit|retry-after/ } sort keys %{ $_[0]{header} } }

# "limit remaining" of the tightest policy, as both families of headers say it; or what they differ in.
sub limits {
    my $header = shift->{header};
    my ($policy, $left) = ($header->{ratelimit} // '') =~ /^"([a-z-]+)";r=(\d+);t=\d+$/ or return 'none';
    my ($limit) = $header->{'ratelimit-policy'} =~ /"\Q$policy\E";q=(\d+);w=\d+/ or return 'no policy';
    return 'they differ' if $limit != $header->{'x-ratelimit-limit'} || $left != $header->{'x-ratelimit-remaining'};
    return "$policy $limit $left";
}

# A server whose every URL is for callers with tokens, and limited as these lines say; counts() may ask it.
sub site {
    my $policies = shift;
    return <<"CONF";
TenantTrustedEdge none
<Location />
    AuthType       TenantJWT
    TenantJWKS     file:$ENV{TEST_STAGE}/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    QuotaEnable    On
$policies</Location>
<Location /server-status>
    AuthType    None
    Require     local
    SetHandler  server-status
    QuotaEnable Off
</Location>
CONF
}

# What mod_status says: { Allowed => n, … }
sub counts {
    my $res = HTTP::Tiny->new->get('http://127.0.0.1:' . port() . '/server-status?auto');
    $res->{success} or die "server-status: $res->{status}";
    return { $res->{content} =~ /^Quota(\w+): (\d+)$/mg };
}

1;
