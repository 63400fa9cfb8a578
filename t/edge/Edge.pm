# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Edge;

# Requests as t/edge writes them: who asks, through which face, and what the answer says of keeping it.

use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant";
use Exporter 'import';
use Http qw(port_of request);
use IO::Uncompress::Gunzip ();
use My::Token ();
our @EXPORT_OK = qw(ask at_edge caller_of faces status_of unzip);

my (%port, %token);

sub port { my $vhost = shift; return $port{$vhost} //= port_of($vhost) }

# What CacheEnable names.
sub storage { return 'orgscale' }

# Another server than the suite's stands for a face.
sub stands_for { my ($vhost, $port) = @_; $port{$vhost} = $port; return }

# The Authorization value of a user: caller_of(org => 1, user => 2, role => 'manager', properties => [1, 2]).
sub caller_of {
    my %who = @_;
    my $name = join ' ', map { "$_=" . (ref $who{$_} ? "@{ $who{$_} }" : $who{$_}) } sort keys %who;
    return $token{$name} //= My::Token::bearer(%who, ttl => 7200);
}

# ask('GET /finance/…', by => [org, user] or { caller_of's }, Name => value, …): the answer, as Http::request
# gives it, from the face that clients see; from at => 'edge_trusted' what an edge sees.
sub ask {
    my ($what, %opt) = @_;
    my ($by, $at) = delete @opt{qw(by at)};
    $by = { org => $by->[0], user => $by->[1] } if ref $by eq 'ARRAY';
    $opt{Authorization} //= caller_of(%$by) if $by;
    my $res = request(port($at // 'edge'), $what, map { $_ => $opt{$_} } sort keys %opt);
    $res->{body} = dechunk($res->{body}) if ($res->{header}{'transfer-encoding'} // '') eq 'chunked';
    return $res;
}

sub dechunk {
    my ($rest, $body) = (shift, '');
    while ($rest =~ s/^([0-9a-f]+)\r\n//i) {
        my $len = hex $1 or last;
        $body .= substr $rest, 0, $len, '';
        $rest =~ s/^\r\n//;
    }
    return $body;
}

sub at_edge { return ask(@_, at => 'edge_trusted') }

# Cache-Control of an answer
sub faces { return shift->{header}{'cache-control'} // 'nothing' }

# What Cache-Status says behind our name
sub status_of { return (shift->{header}{'cache-status'} // '') =~ /orgscale; (.*)$/ ? $1 : 'nothing' }

# A body as it was before it was encoded.
sub unzip {
    my $res = shift;
    my $coding = $res->{header}{'content-encoding'} // return $res->{body};
    if ($coding eq 'gzip') {
        IO::Uncompress::Gunzip::gunzip(\$res->{body} => \my $text) or return "no gzip: $IO::Uncompress::Gunzip::GunzipError";
        return $text;
    }
    my $file = "$ENV{TEST_STAGE}/t/logs/unzip.$$";
    open my $fh, '>:raw', $file or die "$file: $!";
    print $fh $res->{body};
    close $fh;
    my $text = `brotli -dc < $file`;
    unlink $file;
    return $text;
}

1;
