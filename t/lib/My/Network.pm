# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Network;

# A network of a suite's own, of which it can lose all packets: a namespace with nothing but a loopback
# device. Whoever calls own() starts over in it, as whoever they are. It ends with the suite.
#
#   My::Network::own();  …  My::Network::lose(1);  …  My::Network::lose(0);

use strict;
use warnings FATAL => 'all';
use Socket qw(AF_INET SOCK_DGRAM);

use constant { SIOCSIFFLAGS => 0x8914, IFF_UP => 1 };

# Why there can be none here, or ''.
sub unfit {
    return '' if $ENV{TEST_NETWORK};
    my $said = `unshare --map-current-user --keep-caps --net true 2>&1`;
    return $? ? "no network of its own: $said" : '';
}

sub own {
    if (!$ENV{TEST_NETWORK}) {
        local $ENV{TEST_NETWORK} = 1;
        exec qw(unshare --map-current-user --keep-caps --net), $^X, (map { "-I$_" } @INC), $0, @ARGV or die "unshare: $!\n";
    }
    return lose(0);
}

# What is sent while it is lost is sent again, as long as anybody cares.
sub lose {
    my $lost = shift;
    socket my $any, AF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
    ioctl $any, SIOCSIFFLAGS, pack 'a16 s x22', 'lo', $lost ? 0 : IFF_UP or die "loopback device: $!\n";
    return;
}

1;
