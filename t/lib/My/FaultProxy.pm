# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::FaultProxy;

# Stands between clients and a server on Unix sockets and does to their streams what networks and
# servers do on a bad day. One process, one event loop; it is told what to do while connections are
# open, by any process that has the object.
#
#   my $proxy = My::FaultProxy->new($pg->host);      # folder of a .s.PGSQL.5432, or any socket
#   $proxy->host;                                    # folder of its own .s.PGSQL.5432
#   $proxy->set(mode => 'cut', from => 'client', match => 'COMMIT\0', every => 3);
#   $proxy->set(mode => 'delay', by => 2, jitter => 0.5);
#   $proxy->hits;                                    # how often that struck since set()
#
# mode   pass      refuse (nobody listens; who is connected stays)   silent (accepted, and never a byte)
#        delay     each piece comes `by` ± `jitter` seconds later
#        drip      `rate` bytes a second
#        hole      bytes vanish, the connection stays
#        cut       both ends closed at once     truncate   the same, once what came before is delivered
#        garbage   other bytes in their place
# where  from => 'client' or 'server' (either); after => so many of its bytes, or match => regex of
#        its stream; at once without them. It strikes there, and all that follows.
#        armed_by => regex of what the other side says: from there on the bytes of `from` are held
#        back until they match, and then belong to the fault. So the server can have done a thing
#        of which the client is not told.
# when   chance => 0 to 1, or every => k-th; of connections, or of matches (of armed_by, if given)

use strict;
use warnings FATAL => 'all';
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use List::Util qw(max min);
use POSIX ();
use Time::HiRes qw(time);

# As far back as a match may begin
use constant WINDOW => 8192;

my %struck = map { $_ => 1 } qw(delay drip hole cut truncate garbage);

sub new {
    my ($class, $server) = @_;
    my $dir = tempdir('fault.XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, owner => $$, parent => $$, side => {}, hits => 0, drawn => 0,
        server => -d $server ? "$server/.s.PGSQL.5432" : $server, rule => { mode => 'pass' } }, $class;
    $self->{listen} = listen_at("$dir/.s.PGSQL.5432");
    $self->{control} = listen_at("$dir/control");
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        $self->{owner} = 0;
        $SIG{PIPE} = 'IGNORE';
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        eval { $self->serve };
        warn "fault proxy: $@" if $@;
        POSIX::_exit(1);
    }
    delete @$self{qw(listen control)};
    return $self;
}

sub listen_at {
    my $path = shift;
    unlink $path;
    return IO::Socket::UNIX->new(Local => $path, Listen => 128) // die "$path: $!";
}

sub host { return $_[0]{dir} }
sub hits { return $_[0]->tell({})->{hits} }
sub pass { return $_[0]->set(mode => 'pass') }

# PostgreSQL's COMMIT, where the outcome is hardest to know (F14): it never reaches the server; or the
# server has said that no transaction is open any more, and the client does not hear of it.
sub before_commit { return (mode => 'cut', from => 'client', match => 'COMMIT\0') }
sub after_commit {
    return (mode => 'cut', from => 'server', armed_by => 'COMMIT\0', match => 'Z\0\0\0\x05I\z');
}

# Takes effect before it returns; the hits begin at 0 again.
sub set {
    my ($self, %rule) = @_;
    die "mode $rule{mode}" unless $struck{ $rule{mode} } || $rule{mode} =~ /^(?:pass|refuse|silent)$/;
    $self->tell({ rule => \%rule });
    return $self;
}

sub tell {
    my ($self, $what) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => "$self->{dir}/control") // die "fault proxy: $!";
    $socket->printflush(JSON::PP::encode_json($what) . "\n");
    return JSON::PP::decode_json(<$socket> // die 'fault proxy: no answer');
}

# All below runs in the proxy's process. A side is one socket of a connection: { socket, who, peer,
# out: [[due, bytes], …] for it, what was seen of it }. bytes undef: the end.

sub serve {
    my $self = shift;
    while (getppid == $self->{parent}) {
        for my $socket ($self->ready) {
            my $side = $self->{side}{$socket};
            if ($side) { $self->take($side) }
            elsif ($socket == $self->{control}) { $self->obey($socket->accept) }
            elsif ($self->{listen} && $socket == $self->{listen}) { $self->admit($socket->accept) }
        }
        my @sides = values %{ $self->{side} };      # some of which a flush may drop
        $self->flush($_) for @sides;
    }
    return;
}

# What can be read now; returns as well when something is due or can be written.
sub ready {
    my $self = shift;
    my @sides = values %{ $self->{side} };
    my ($now, $wait, @write) = (time, 1);
    for my $side (grep { @{ $_->{out} } } @sides) {
        my $due = $side->{out}[0][0];
        if ($due <= $now) { push @write, $side->{socket} }
        else              { $wait = min($wait, $due - $now) }
    }
    my @read = map { $_->{socket} } grep { !$_->{ended} && (!$_->{peer} || @{ $_->{peer}{out} } < 64) } @sides;
    my ($readable) = IO::Select->select(IO::Select->new(@read, $self->{control}, grep { $_ } $self->{listen}),
        IO::Select->new(@write), undef, $wait);
    return @{ $readable || [] };
}

sub obey {
    my ($self, $socket) = @_;
    my $what = JSON::PP::decode_json(<$socket> // return);
    $self->change($what->{rule}) if $what->{rule};
    $socket->printflush(JSON::PP::encode_json({ hits => $self->{hits} }) . "\n");
    return;
}

sub change {
    my ($self, $rule) = @_;
    @$self{qw(rule hits drawn)} = ($rule, 0, 0);
    my @sides = values %{ $self->{side} };
    $self->drop($_) for grep { !$_->{peer} } @sides;       # were met with silence
    for my $side (grep { $_->{peer} } @sides) {
        push @{ $side->{peer}{out} }, [time, delete $side->{held}] if defined $side->{held};
        delete @$side{qw(struck drawn armed)};
        $side->{tail} = '';
    }
    if ($rule->{mode} eq 'refuse') { close delete $self->{listen} if $self->{listen} }
    else                           { $self->{listen} //= listen_at("$self->{dir}/.s.PGSQL.5432") }
    return;
}

sub admit {
    my ($self, $client) = @_;
    return unless $client;
    my $server;
    if ($self->{rule}{mode} ne 'silent') {
        $server = IO::Socket::UNIX->new(Peer => $self->{server}) or return;      # which closes the client's
    }
    my ($c, $s) = map { { socket => $_, out => [], seen => 0, tail => '' } } $client, $server;
    $c->{who} = 'client';
    $self->{side}{$client} = $c;
    $client->blocking(0);
    return unless $server;
    @$s{qw(who peer)} = ('server', $c);
    $c->{peer} = $s;
    $self->{side}{$server} = $s;
    $server->blocking(0);
    return;
}

sub drop {
    my ($self, $side) = @_;
    for my $end (grep { $_ } $side, delete $side->{peer}) {
        delete $self->{side}{ $end->{socket} };
        delete $end->{peer};
        $end->{out} = [];
        close $end->{socket};
    }
    return;
}

# Reads what a side says and passes on what the rule leaves of it.
sub take {
    my ($self, $side) = @_;
    my $n = sysread $side->{socket}, my $bytes, 65536;
    return if !defined $n && $!{EAGAIN};
    my $to = $side->{peer} or return $n ? undef : $self->drop($side);
    if (!$n) {
        $side->{ended} = 1;
        push @{ $to->{out} }, [@{ $to->{out} } ? $to->{out}[-1][0] : 0, undef];
        return;
    }
    my $at = $self->strikes($side, \$bytes);
    $side->{seen} += $n;
    if (!defined $at) {
        push @{ $to->{out} }, [time, $bytes] if length $bytes;
        return;
    }
    $self->{hits}++ unless $side->{struck}++;
    push @{ $to->{out} }, [time, substr $bytes, 0, $at, ''] if $at;
    return $self->strike($side, $to, $bytes);
}

# Where in these bytes the rule strikes, or undef. Bytes that are held back are taken out.
sub strikes {
    my ($self, $side, $bytes) = @_;
    my $rule = $self->{rule};
    return undef unless $struck{ $rule->{mode} };
    return 0 if $side->{struck};
    if (defined $rule->{armed_by}) {
        if ($side->{who} ne $rule->{from}) {
            $side->{peer}{armed} = 1 if defined $self->found($side, $rule->{armed_by}, $$bytes);
            return undef;
        }
        return undef unless $side->{armed};
        $$bytes = ($side->{held} // '') . $$bytes;
        ($side->{held}, $$bytes) = ($$bytes, ''), return undef unless $$bytes =~ /$rule->{match}/s;
        delete $side->{held};
        return 0;
    }
    return undef if defined $rule->{from} && $side->{who} ne $rule->{from};
    return $self->found($side, $rule->{match}, $$bytes) if defined $rule->{match};
    my $at = ($rule->{after} // 0) - $side->{seen};
    return undef if $at >= length $$bytes || $side->{drawn}++;
    return $self->draw ? max($at, 0) : undef;
}

# Offset of a match in a side's stream that the rule wants, or undef. It may have begun earlier.
sub found {
    my ($self, $side, $match, $bytes) = @_;
    my $text = $side->{tail} . $bytes;
    my ($before, $end) = (length $side->{tail}, 0);
    while ($text =~ /$match/gs) {
        $end = $+[0];
        return max($-[0] - $before, 0) if $self->draw;
    }
    substr $text, 0, max($end, length($text) - WINDOW), '';
    $side->{tail} = $text;
    return undef;
}

sub draw {
    my $self = shift;
    my $rule = $self->{rule};
    return ++$self->{drawn} % $rule->{every} == 0 if $rule->{every};
    return rand() < ($rule->{chance} // 1);
}

sub strike {
    my ($self, $side, $to, $bytes) = @_;
    my ($rule, $out) = ($self->{rule}, $to->{out});
    my $mode = $rule->{mode};
    if ($mode eq 'cut') { $self->drop($side) }
    elsif ($mode eq 'truncate') {
        $side->{ended} = 1;
        push @$out, [time, undef];
    }
    elsif ($mode eq 'garbage') { push @$out, [time, join '', map { chr int rand 256 } 1 .. length $bytes] }
    elsif ($mode eq 'delay') {
        my $due = time + $rule->{by} + ($rule->{jitter} // 0) * (2 * rand() - 1);
        push @$out, [max($due, @$out ? $out->[-1][0] : 0), $bytes];      # pieces keep their order
    }
    elsif ($mode eq 'drip') {
        my $slice = int($rule->{rate} / 50) || 1;
        my $due = max(time, @$out ? $out->[-1][0] : 0);
        push @$out, [$due += $slice / $rule->{rate}, substr $bytes, 0, $slice, ''] while length $bytes;
    }
    return;
}

# Writes what is due, as much as fits.
sub flush {
    my ($self, $side) = @_;
    my $out = $side->{out};
    while (@$out && $out->[0][0] <= time) {
        return $self->drop($side) unless defined $out->[0][1];
        my $n = syswrite $side->{socket}, $out->[0][1];
        return if !defined $n && $!{EAGAIN};
        return $self->drop($side) unless defined $n;
        substr $out->[0][1], 0, $n, '';
        shift @$out unless length $out->[0][1];
    }
    return;
}

sub DESTROY {
    my $self = shift;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    remove_tree($self->{dir});
    return;
}

1;
