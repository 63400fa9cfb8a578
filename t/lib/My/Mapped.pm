# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Mapped;

# A file of numbers that a server has mapped, and looks at while it runs: what My::Hooks and My::Shim
# write into. It ends with the object.

use strict;
use warnings FATAL => 'all';
use File::Temp ();

sub new {
    my ($class, $name, $bytes) = @_;
    my $self = bless { file => File::Temp->new(TEMPLATE => "$name.XXXXXX", TMPDIR => 1), name => $name }, $class;
    return $self->put(0, $bytes);
}

sub put {
    my ($self, $offset, $bytes) = @_;
    sysseek $self->{file}, $offset, 0 or die "$self->{name}: $!";
    syswrite($self->{file}, $bytes) == length $bytes or die "$self->{name}: $!";
    return $self;
}

# A number of four bytes, with a sign.
sub got {
    my ($self, $offset) = @_;
    sysseek $self->{file}, $offset, 0 or die "$self->{name}: $!";
    sysread($self->{file}, my $bytes, 4) == 4 or die "$self->{name}: $!";
    return unpack 'l', $bytes;
}

1;
