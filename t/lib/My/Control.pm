# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Control;

# A test program in C that has this process do things for it: it writes a line to the descriptor in
# TEST_CONTROL and reads one when that was done. Its output is the TAP of the .t.

use strict;
use warnings FATAL => 'all';
use IO::Handle;
use IO::Socket::UNIX;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

# run($program, stop => sub { … }, …): returns the program's exit status
sub run {
    my ($program, %do) = @_;
    local $^F = 255;       # the program inherits the descriptor
    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
    local $ENV{TEST_CONTROL} = fileno $theirs;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $ours;
        exec $program or die "$program: $!";
    }
    close $theirs;
    $ours->autoflush(1);
    while (defined(my $line = <$ours>)) {
        chomp $line;
        my $answer = $do{$line} ? $do{$line}->() : die "$program asks for '$line'";
        print $ours defined $answer ? "$answer\n" : "\n";
    }
    waitpid $pid, 0;
    return $? ? 1 : 0;
}

1;
