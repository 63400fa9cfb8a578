# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Origin;

# An origin of a test's own, which does what the test told it. A process a connection, so many may ask at
# once. It ends with the object, at the latest with the test.
#
#   my $origin = Origin->new('name');
#   $origin->says('/list', body => '…', status => 200, delay => 0.2, ETag => '"x"', …);
#   $origin->port;  $origin->asked('/list');      # requests that came for it: their heads
#
# delay comes before all of it, halt in its middle. What it says of a path holds whatever the query is; what it says of '*' is for all paths that it was told nothing
# of, {NAME} in a body the value of that field of the request, {path} its path with the query, and {body} its body. ETag and Last-Modified make it answer conditions, as
# a good origin would (a list of tags, compared weakly). HEAD has no body.

use strict;
use warnings FATAL => 'all';
use IO::Socket::INET ();
use POSIX ();
use Storable ();

my $made = 0;

sub new {
    my ($class, $name) = @_;
    my $dir = "$ENV{TEST_STAGE}/t/logs/origin.$name." . $made++;
    mkdir $dir or die "$dir: $!";
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 256, ReuseAddr => 1) or die "listen: $!";
    my $self = bless { dir => $dir, owner => $$, port => $listener->sockport }, $class;
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        $SIG{CHLD} = 'IGNORE';
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        while (1) {
            my $peer = $listener->accept or next;
            my $pid = fork;
            if (defined $pid && !$pid) {
                close $listener;
                eval { $self->serve($peer) };
                POSIX::_exit(0);
            }
            close $peer;
        }
    }
    return $self;
}

sub port { return $_[0]{port} }

sub file_of { my ($self, $path) = @_; return "$self->{dir}/" . $path =~ s/[^\w.-]/_/gr }

# Whole at once: a request sees what was said before or what is said now.
sub says {
    my ($self, $path, %answer) = @_;
    my $file = $self->file_of($path);
    Storable::store(\%answer, "$file.new");
    rename "$file.new", "$file.answer" or die "$file: $!";
    return $self;
}

sub asked {
    my ($self, $path) = @_;
    open my $fh, '<', $self->file_of($path) . '.log' or return;
    local $/ = "\n--\n";
    chomp(my @heads = <$fh>);
    return @heads;
}

sub forget { my ($self, $path) = @_; unlink $self->file_of($path) . '.log'; return }

sub serve {
    my ($self, $peer) = @_;
    local $SIG{ALRM} = 'DEFAULT';
    $peer->autoflush(1);
    while (1) {
        alarm 60;
        my ($head, %field) = ('');
        while (defined(my $line = <$peer>)) {
            last if $line =~ /^\r?\n$/;
            $head .= $line;
            $field{ lc $1 } = $2 if $line =~ /^([^:\s]+):\s*(.*?)\r?\n$/;
        }
        my ($method, $path) = $head =~ m{^(\S+) (/[^\s?]*)} or return;
        if ($field{'content-length'}) {
            read $peer, $field{body}, $field{'content-length'};
        }
        elsif (($field{'transfer-encoding'} // '') eq 'chunked') {
            while ((my $line = <$peer> // '0') =~ /^([0-9a-f]+)/i) {
                my $len = hex $1;
                read $peer, my $chunk, $len + 2;
                last if !$len;
                $field{body} .= substr $chunk, 0, $len;
            }
        }
        my $file = $self->file_of($path);
        open my $log, '>>', "$file.log" or return;
        syswrite $log, "$head\n--\n" =~ s/\r\n/\n/gr =~ s/\n\n--/\n--/r;
        close $log;
        my ($said) = grep { -e } "$file.answer", $self->file_of('*') . '.answer';
        my %answer = $said ? %{ Storable::retrieve($said) } : (status => 404, body => 'nothing here');
        ($field{path}) = $head =~ /^\S+ (\S+)/;
        $answer{body} =~ s/\{([\w-]+)\}/$field{$1} \/\/ ''/ge if defined $answer{body};
        my ($halt, $text) = (delete $answer{halt}, undef);
        $text = answer($method, \%field, %answer);
        if ($halt) {
            print $peer substr $text, 0, length($text) / 2, '';
            select undef, undef, undef, $halt;
        }
        print $peer $text;
        return if $answer{close};
    }
}

sub answer {
    my ($method, $field, %answer) = @_;
    my ($status, $body, $delay, undef, $raw) = delete @answer{qw(status body delay close raw)};
    select undef, undef, undef, $delay if $delay;
    return $raw if defined $raw;
    $status //= 200;
    $body //= '';
    my ($tags, $since) = @$field{qw(if-none-match if-modified-since)};
    my $known = defined $tags ? defined $answer{ETag} && (grep { s{^W/}{}r eq $answer{ETag} =~ s{^W/}{}r } split /,\s*/, $tags)
        : defined $since && ($answer{'Last-Modified'} // '') eq $since;
    my %head = ('Content-Type' => 'application/json', %answer);
    if ($status == 200 && $known && $method =~ /^(?:GET|HEAD)$/) {
        ($status, $body) = (304, '');
        delete $head{'Content-Type'};
    }
    my $chunked = delete $head{chunked};
    my $has_body = $status >= 200 && $status != 204 && $status != 304;
    $head{'Transfer-Encoding'} = 'chunked' if $chunked && $has_body;
    $head{'Content-Length'} = length $body if $has_body && !$chunked;
    my $text = "HTTP/1.1 $status Said\r\n" . join('', map {
        my $name = $_;
        map { "$name: $_\r\n" } ref $head{$name} ? @{ $head{$name} } : $head{$name}
    } sort keys %head) . "\r\n";
    return $text if $method eq 'HEAD' || !$has_body;
    return $text . $body if !$chunked;
    return $text . join('', map { sprintf "%x\r\n%s\r\n", length, $_ } unpack '(a500)*', $body) . "0\r\n\r\n";
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local ($?, $@);
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

1;
