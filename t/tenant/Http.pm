# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Http;

# A client that shows every byte: one request a connection, answers unparsed and parsed.

use strict;
use warnings FATAL => 'all';
use Apache::TestRequest ();
use Exporter 'import';
use IO::Socket::INET ();
use JSON::PP ();
our @EXPORT = qw(port_of exchange request problem has_h2 h2);

# The port of a <VirtualHost name> of t/conf/tenant.conf.in.
sub port_of {
    my $vhost = shift;
    local $_;       # Apache::Test writes to it
    Apache::TestRequest::module($vhost);
    my ($port) = Apache::TestRequest::hostport() =~ /:(\d+)$/;
    Apache::TestRequest::module('default');
    return $port;
}

# These bytes to a port, from an address of loopback: all bytes that come back until the server closes.
sub exchange {
    my ($port, $bytes, $from) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, LocalAddr => $from // '127.0.0.1', Timeout => 20)
        or die "connect to $port: $!";
    local $SIG{ALRM} = sub { die "no answer from $port to: $bytes" };
    alarm 20;
    local $SIG{PIPE} = 'IGNORE';        # the server may close before it read all of it
    print $socket $bytes;
    my $answer = do { local $/; <$socket> } // '';
    alarm 0;
    return $answer;
}

sub parse {
    my $raw = shift;
    my ($head, $body) = split /\r\n\r\n/, $raw, 2;
    my ($line, @fields) = split /\r\n/, $head // '';
    my ($status) = ($line // '') =~ m{^HTTP/\S+ (\d+)};
    my %header;
    for (@fields) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;
        $header{ lc $name } = exists $header{ lc $name } ? "$header{lc $name}, $value" : $value;
    }
    return { raw => $raw, line => $line, status => $status // 0, header => \%header,
             body => $body // '' };
}

# request($port, 'GET /path', Name => value, …)
sub request {
    my ($port, $what, @fields) = @_;
    my $text = "$what HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    while (my ($name, $value) = splice @fields, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    return parse(exchange($port, "$text\r\n"));
}

# The problem object of an answer, or an empty one.
sub problem {
    my $answer = shift;
    return {} unless ($answer->{header}{'content-type'} // '') eq 'application/problem+json';
    return JSON::PP->new->utf8->decode($answer->{body});
}

# mod_http2 does not work with prefork.
sub has_h2 { return ($ENV{TEST_MPM} || 'event') ne 'prefork' }

# The same over cleartext HTTP/2, by curl: status line, header and body as curl prints them.
sub h2 {
    my ($port, $what, @fields) = @_;
    my ($method, $path) = split / /, $what;
    my @curl = qw(curl -s -i --http2-prior-knowledge -m 20);
    push @curl, $method eq 'HEAD' ? '-I' : ('-X', $method);
    while (my ($name, $value) = splice @fields, 0, 2) {
        push @curl, '-H', "$name: $value";
    }
    open my $fh, '-|:raw', @curl, "http://127.0.0.1:$port$path" or die "curl: $!";
    local $/;
    return parse(scalar <$fh>);
}

1;
