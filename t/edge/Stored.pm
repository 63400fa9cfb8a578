# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Stored;

# A server of a test's own whose cache is the storage orgscale, and what may be asked of it:
# /FAMILY/PORT/… is http://127.0.0.1:PORT/…, for anybody; /mine/PORT/… is kept for who asks.

use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", "$ENV{TEST_STAGE}/t/edge";
use Edge ();
use Exporter 'import';
use Http ();
use My::Server ();
use POSIX ();
use Storable ();
use Time::HiRes ();
our @EXPORT_OK = qw(ask counts server settings together wait_for);

my $server;
my $stage = $ENV{TEST_STAGE};

# What a server is configured with: settings("EdgeCacheSize 1M\n").
sub settings {
    my $lines = shift // '';
    return <<"CONF";
$lines
LogLevel info authz_core:crit
ProxyTimeout      20
TenantTrustedEdge none
CacheQuickHandler off
EdgeFamily long    max-age=60 s-maxage=600 shared=public
EdgeFamily brief   max-age=1 s-maxage=1 stale-while-revalidate=600 shared=public
EdgeFamily failing max-age=1 s-maxage=1 stale-if-error=600 shared=public
EdgeFamily mine    max-age=60 s-maxage=600 shared=user
RewriteEngine on
RewriteRule "^/(?:long|brief|failing|mine)/(\\d+)/(.*)\$" "http://127.0.0.1:\$1/\$2" [P]
<LocationMatch "^/(?:long|brief|failing|mine)/">
    CacheEnable    orgscale
    EdgeTag        "thing:%{query:id}"
    EdgePurge      "thing:%{query:id}"
</LocationMatch>
<Location /long>
    EdgeCache      long
</Location>
<Location /brief>
    EdgeCache      brief
</Location>
<Location /failing>
    EdgeCache      failing
</Location>
<Location /mine>
    AuthType       TenantJWT
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
    EdgeCache      mine
</Location>
<Location /status>
    SetHandler     server-status
</Location>
CONF
}

# The server, started: server('name', lines => settings(), …).
sub server {
    my ($name, %site) = @_;
    my $env = delete $site{env};
    return $server = My::Server->new($name, %site)->start($env ? (env => $env) : ());
}

# ask('GET /long/…', by => [org, user], Name => value): the answer
sub ask {
    my ($what, %opt) = @_;
    my $by = delete $opt{by};
    $opt{Authorization} //= Edge::caller_of(org => $by->[0], user => $by->[1]) if $by;
    my $res = Http::request($server->port, $what, map { $_ => $opt{$_} } sort keys %opt);
    $res->{body} = Edge::dechunk($res->{body}) if ($res->{header}{'transfer-encoding'} // '') eq 'chunked';
    $res->{says} = Edge::status_of($res);
    return $res;
}

# mod_status' lines of the storage, without Edge
sub counts { return { Http::request($server->port, 'GET /status?auto')->{body} =~ /^Edge(\w+): (\d+)/mg } }

# What so many processes get that do the same at once: together(8, sub { … }), in the order of their numbers.
sub together {
    my ($n, $do) = @_;
    my @pipes = map {
        my $i = $_;
        pipe my $read, my $write or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $got = eval { $do->($i) } // { says => "died: $@", status => 0, body => '' };
            Storable::store_fd($got, $write);
            close $write;
            POSIX::_exit(0);
        }
        [$read, $pid];
    } 1 .. $n;
    return map {
        my ($read, $pid) = @$_;
        my $got = Storable::fd_retrieve($read);
        waitpid $pid, 0;
        $got;
    } @pipes;
}

sub wait_for {
    my ($seconds, $condition) = @_;
    my $end = Time::HiRes::time() + $seconds;
    my $got;
    until (($got = $condition->()) || Time::HiRes::time() > $end) {
        select undef, undef, undef, 0.02;
    }
    return $got;
}

1;
