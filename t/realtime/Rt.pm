# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Rt;

# Polls and publications as the realtime suites write them. A poll is a socket: many can be parked
# from one process, and any of them can be left.

use strict;
use warnings FATAL => 'all';
use Apache::Test ();
use Exporter 'import';
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use My::Token ();
use Time::HiRes ();
our @EXPORT_OK = qw(answer ask caller_of event ids json_of metrics poll publish request say_on status_of subscribe
                    wait_for waiters);

my $coder = JSON::PP->new->canonical->allow_nonref->utf8;
my %token;

# The Authorization value of a caller, made once.
sub caller_of {
    my %who = (user => 1, role => 'owner', @_);
    my $key = $coder->encode(\%who);
    return $token{$key} //= My::Token::bearer(%who);
}

# Where requests go: another server than the suite's, when a test says so.
our $address;

sub address { return $address // Apache::Test::vars('servername') . ':' . Apache::Test::vars('port') }

# Sends a request and leaves: the socket to read the answer from.
sub ask {
    my ($method, $target, $body, %headers) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => address(), Timeout => 10) or die "connect: $!";
    $headers{'Content-Length'} = length $body if defined $body;
    my $head = join '', map { "$_: $headers{$_}\r\n" } sort keys %headers;
    print $socket "$method $target HTTP/1.1\r\nHost: localhost\r\n$head\r\n", $body // '' or die "send: $!";
    $socket->flush;
    return $socket;
}

# Says something on a connection that there is, and returns it.
sub say_on {
    my ($socket, $text) = @_;
    print $socket $text;
    $socket->flush;
    return $socket;
}

# The answer on a socket: { status, head, body, at, took }; undef when it is not there in time, or
# when the connection ended before it.
sub answer {
    my ($socket, $within) = (shift, shift // 30);
    my ($began, $text, $want) = (Time::HiRes::time(), '', undef);
    while (!defined $want || length $text < $want) {
        my $left = $began + $within - Time::HiRes::time();
        return undef unless $left > 0 && IO::Select->new($socket)->can_read($left);
        sysread($socket, $text, 65536, length $text) or return undef;
        if (!defined $want && $text =~ /^(.*?\r\n)\r\n/s) {
            my $head = $1;
            my ($length) = $head =~ /^Content-Length: (\d+)\r$/mi;
            $want = length($head) + 2 + ($length // 0);
        }
    }
    my ($head, $body) = $text =~ /^(.*?\r\n)\r\n(.*)$/s;
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
    my $now = Time::HiRes::time();
    return { status => $status, head => $head, body => $body, at => $now, took => $now - $began };
}

sub request { return answer(ask(@_)) // die "no answer to $_[0] $_[1]" }

sub json_of { return $coder->decode(shift->{body}) }

# A poll, on its way: poll('a', $token, 'wait=5', header => value)
sub poll {
    my ($domain, $token, $query, %headers) = @_;
    return ask('GET', "/rt/$domain/subscribe?$query", undef,
        (defined $token ? (Authorization => $token) : ()), %headers);
}

# A poll's answer, which must be 200, decoded.
sub subscribe {
    my $res = answer(poll(@_)) // die "no answer to $_[2]";
    $res->{status} == 200 or die "$_[2]: $res->{head}$res->{body}";
    return json_of($res);
}

sub status_of { return (answer(poll(@_)) // { status => 0 })->{status} }

# An event with what is given changed; undef leaves a member out.
sub event {
    my ($org, %change) = @_;
    my %event = (orgId => $org, type => 'expense.created', data => { n => 1 }, %change);
    delete @event{grep { !defined $event{$_} } keys %event};
    return \%event;
}

# The ids of a reply's events, in order.
sub ids { return join ' ', map { $_->{eventId} } @{ shift->{events} } }

# Publishes to a domain; a reference is encoded. Returns the answer.
sub publish {
    my ($domain, $body, %headers) = @_;
    return request('POST', "/rt/$domain/publish", ref $body ? $coder->encode($body) : $body,
        'Content-Type' => 'application/json', %headers);
}

sub metrics {
    my ($domain, $token) = @_;
    my $res = request('GET', "/rt/$domain/metrics", undef, Authorization => $token);
    $res->{status} == 200 or die "metrics: $res->{head}$res->{body}";
    return json_of($res);
}

# Polls that wait for an org's events.
sub waiters { return metrics('a', caller_of(org => shift))->{waiters} }

# Until a condition holds: its value, or false after so many seconds.
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
