# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Idem;

# A server with keys in front of a counting backend, and requests to it.
#
#   my ($httpd, $backend) = site('replay', lines => "…", locations => { '/api/' => "Idempotency required\n" });
#   my $answer = post('/api/x', $token, 'key-1', '{}', 'X-Do' => 'status=404');
#   $answer->{status}, {head}, {body}, {replayed}, {code}

use strict;
use warnings FATAL => 'all';
use Apache::Test ();
use Backend ();
use Exporter 'import';
use JSON::PP ();
use My::Server ();
use My::Token ();
use My::Wire ();
use Time::HiRes ();
our @EXPORT_OK = qw(ask caller_of field h2 has_h2 key locations post receive site wait_for);

my ($port, %token);
my $serial = 0;

sub key { return join '-', shift // 'key', $$, ++$serial }

# The Authorization value of a caller, made once.
sub caller_of {
    my %who = (org => 71, user => 711, role => 'owner', ttl => 3600, @_);
    return $token{ join ' ', map { "$_=$who{$_}" } sort keys %who } //= My::Token::bearer(%who);
}

# Locations that go to the backend, unless their lines say otherwise; all but /open/ know who calls.
sub locations {
    my ($backend, $locations) = @_;
    my $conf = '';
    for my $path (sort keys %$locations) {
        $conf .= "<Location $path>\n";
        $conf .= <<"CONF" if $path !~ m{^/open};
    AuthType       TenantJWT
    AuthName       orgscale
    TenantJWKS     file:$ENV{TEST_STAGE}/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    TenantProblem  On
    Require        valid-user
CONF
        $conf .= '    ProxyPass http://127.0.0.1:' . $backend->port . "/\n" if $locations->{$path} !~ /ProxyPass|Rewrite/;
        $conf .= "$locations->{$path}</Location>\n";
    }
    return $conf;
}

sub site {
    my ($name, %opt) = @_;
    my $backend = Backend->new;
    my $h2 = has_h2() ? "Protocols h2c http/1.1\n" : '';
    my $httpd = My::Server->new($name, %opt,
        lines => "${h2}Timeout 20\n" . ($opt{lines} // '') . locations($backend, $opt{locations}));
    $httpd->start(env => $opt{env} // {});
    $port = $httpd->port;
    return ($httpd, $backend);
}

# Sends a request; the connection to read its answer from.
sub ask {
    my ($method, $path, $body, %headers) = @_;
    my $wire = delete $headers{wire} // My::Wire->new($port);
    $headers{'Content-Length'} = length $body if defined $body && !$headers{'Transfer-Encoding'};
    my $head = join '', map { "$_: $headers{$_}\r\n" } grep { defined $headers{$_} } sort keys %headers;
    $wire->send("$method $path HTTP/1.1\r\nHost: localhost\r\n$head\r\n" . ($body // ''));
    return $wire;
}

# undef: no answer in time
sub receive {
    my ($wire, $within) = @_;
    my $answer = $wire->answer($within ? (within => $within) : ()) or return undef;
    return parsed($answer);
}

sub parsed {
    my $answer = shift;
    if ($answer->{head} =~ /^Transfer-Encoding: chunked\r$/mi) {
        my $raw = $answer->{body};
        $answer->{body} = '';
        while ($raw =~ /\G([0-9a-f]+)\r\n/gci && hex $1) {
            $answer->{body} .= substr $raw, pos $raw, hex $1;
            pos($raw) += 2 + hex $1;
        }
    }
    $answer->{replayed} = ($answer->{head} =~ /^Idempotent-Replayed: true\r$/mi) ? 1 : 0;
    $answer->{code} = ($answer->{head} =~ m{^Content-Type: application/problem\+json\r$}mi)
        ? (eval { JSON::PP::decode_json($answer->{body}) } || {})->{code} : undef;
    return $answer;
}

sub post {
    my ($path, $token, $key, $body, %headers) = @_;
    my $method = delete $headers{method} // 'POST';
    my $within = delete $headers{within};
    my %all = ('Content-Type' => 'application/json', Authorization => $token, 'Idempotency-Key' => $key, %headers);
    return receive(ask($method, $path, $body, %all), $within) // { status => 'none', head => '', body => '', replayed => 0 };
}

sub field {
    my ($answer, $name) = @_;
    return $answer->{head} =~ /^\Q$name\E: ([^\r]*)\r$/mi ? $1 : undef;
}

# mod_http2 does not work with prefork.
sub has_h2 { return ($ENV{TEST_MPM} || 'event') ne 'prefork' }

# The same over cleartext HTTP/2, by curl.
sub h2 {
    my ($path, $token, $key, $body, %headers) = @_;
    my %all = ('Content-Type' => 'application/json', Authorization => $token, 'Idempotency-Key' => $key, %headers);
    my @curl = (qw(curl -s -i --http2-prior-knowledge -m 20 -X POST --data-binary), $body,
                (map { ('-H', "$_: $all{$_}") } sort keys %all), "http://127.0.0.1:$port$path");
    open my $fh, '-|:raw', @curl or die "curl: $!";
    my $raw = do { local $/; <$fh> } // '';
    my ($head, $text) = $raw =~ /^(.*?\r\n)\r\n(.*)$/s;
    return { status => 'none', head => '', body => '', replayed => 0 } if !defined $head;
    my ($status) = $head =~ m{^HTTP/2 (\d+)};
    return parsed({ status => $status, head => $head, body => $text });
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
