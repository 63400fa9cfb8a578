# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Shim;

# A server whose system calls fail now and then: t/fault/shim.c is preloaded into it, and obeys this
# object while the server runs.
#
#   plan skip_all => My::Shim::unfit() if My::Shim::unfit();
#   my $shim = My::Shim->new;   $httpd->start(env => $shim->env);
#   $shim->set(write => { error => 'EPIPE', chance => 0.3 });     # read write accept connect poll epoll watch thread
#   $shim->set(read => { short => 0.5 });                         # a byte at a time
#   $shim->set(accept => { error => 'EPROTO', chance => 1, takes => 1 });   # the connection is gone as well
#   $shim->set(thread => { error => 'EAGAIN', chance => 1, of => 'mod_realtime_lp' });  # a library's threads
#   $shim->set(watch => { error => 'ENOSPC', chance => 1, of => 'mod_realtime_lp' });   # its calls of epoll_ctl()
#   $shim->hits('write');                                         # how often it acted
#   $shim->clear;                                                 # all is as ever

use strict;
use warnings FATAL => 'all';
use Errno ();
use parent 'My::Mapped';

my @calls = qw(read write accept connect poll epoll watch thread);
my %index = map { $calls[$_] => $_ } 0 .. $#calls;
my $rule = 'l4 L a64';
my $size = length pack $rule, (0) x 5, '';
my $library = "$ENV{TEST_STAGE}/unit/shim.so";

# Why it can't be used, if so: a sanitizer's runtime and valgrind stand before the same calls, and want
# to be the first.
sub unfit {
    return 'the shim stands where a sanitizer does' if $ENV{ASAN_OPTIONS};
    return 'the shim stands where valgrind does' if $ENV{TEST_WRAP};
    return undef;
}

sub new { return $_[0]->SUPER::new('shim', "\0" x ($size * @calls)) }

sub env { return { LD_PRELOAD => $library, SHIM_RULES => "$_[0]{file}" } }

sub errno_of {
    my $name = shift // return 0;
    my $code = Errno->can($name) or die "shim: no errno $name";
    return $code->();
}

sub thousands { return int 0.5 + 1000 * ($_[0] // 0) }

# Rules of the calls that are named; the others stay.
sub set {
    my ($self, %rules) = @_;
    for my $call (sort keys %rules) {
        my $what = $rules{$call};
        my $at = $size * ($index{$call} // die "shim: no call $call");
        # the chance last: what it is a chance of is there by then
        $self->put($at + 8, pack 'l2 L a64', thousands($what->{short}), $what->{takes} ? 1 : 0, 0, $what->{of} // '');
        $self->put($at, pack 'l', errno_of($what->{error}));
        $self->put($at + 4, pack 'l', thousands($what->{chance}));
    }
    return $self;
}

sub clear { return $_[0]->set(map { $_ => {} } @calls) }

sub hits {
    my ($self, $call) = @_;
    return $self->got($size * $index{$call} + 16);
}

1;
