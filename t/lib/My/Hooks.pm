# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Hooks;

# The test hooks of a server (og_hooks.h): crash points, clock, seed. For builds configured with
# --enable-test-hooks; t/TEST leaves t/crash out of any other.
#
#   my $hooks = My::Hooks->new;   $httpd->start(env => $hooks->env);
#   $hooks->arm(7, 'KILL');       # the seventh crash point from now on strikes
#   $hooks->struck;               # the pid that it struck, once it stands still or is dead, or 0
#   $hooks->clock(3600);          # seconds
#   $hooks->fix_seed(1);          # from the next start on, keyed hashes have a key that is known
#   $hooks->layout(1);            # from the next reload on, shared memory has another layout

use strict;
use warnings FATAL => 'all';
use Config ();
use parent 'My::Mapped';

my @names = split ' ', $Config::Config{sig_name};
my %number = map { $names[$_] => $_ } 0 .. $#names;

sub new { return $_[0]->SUPER::new('hooks', pack 'l4 q L2', (0) x 7) }

# For the server's environment. ASan would report a SEGV that is meant.
sub env {
    my $self = shift;
    my %env = (ORGSCALE_TEST_HOOKS => "$self->{file}");
    $env{ASAN_OPTIONS} = "$ENV{ASAN_OPTIONS}:handle_segv=0" if $ENV{ASAN_OPTIONS};
    return \%env;
}

sub arm {
    my ($self, $nth, $signal) = @_;
    delete $self->{settled};
    $self->put(4, pack 'l l', $number{$signal}, 0);
    $self->put(0, pack 'l', $nth);
    return;
}

sub disarm { return $_[0]->put(0, pack 'l', 0) }

# Its other threads go on, and accept connections, until the signal has come to all of them.
sub struck {
    my $self = shift;
    my $victim = $self->got(8) or return 0;
    my $after = $self->got(4) == $number{STOP} ? qr/^[TtZX]/ : qr/^[ZX]/;
    my $end = time + 10;
    until ($self->{settled} || time > $end) {
        open my $stat, '<', "/proc/$victim/stat" or last;
        last if (<$stat> // 'Z') =~ /\) (\w)/ ? $1 =~ $after : 1;
        select undef, undef, undef, 0.005;
    }
    return $self->{settled} = $victim;
}

sub clock  { return $_[0]->put(16, pack 'q', $_[1] * 1_000_000) }
sub fix_seed { return $_[0]->put(12, pack 'l', $_[1]) }
sub layout { return $_[0]->put(24, pack 'L', $_[1]) }

1;
