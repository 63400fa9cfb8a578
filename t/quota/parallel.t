# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Sixteen clients at once, answered by several children, and one bucket: exactly what it holds is let in.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use My::Wire;
use Quota qw(ask caller_of counts limits port);
use Test::More;
use Time::HiRes qw(time);

my ($clients, $each) = (16, 20);
my $org = 7400;

# Statuses that each client got, one letter each, through pipes.
sub hammer {
    my ($target, $token) = @_;
    my @readers;
    for (1 .. $clients) {
        my $pid = open(my $reader, '-|') // die "fork: $!";
        if (!$pid) {
            my $text = '';
            for (1 .. $each) {     # a connection each: any child may get it
                my $wire = My::Wire->new(port());
                $wire->send("POST $target HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: $token\r\n\r\n");
                $text .= ($wire->answer // { status => 'none' })->{status} . ' ';
            }
            print $text;
            close STDOUT;
            kill KILL => $$;       # no END of Test::More
        }
        push @readers, $reader;
    }
    return map { my $fh = $_; split ' ', do { local $/; <$fh> } // '' } @readers;
}

for my $round (1 .. 3) {
    my $was = counts();
    my $began = time;
    my @got = hammer('/small/x', caller_of(++$org, 1));     # 50/h: one more every 72 s
    my $more = int((time - $began) * 50 / 3600);
    my %count;
    $count{$_}++ for @got;
    is scalar @got, $clients * $each, 'all are answered';
    is join(' ', sort keys %count), '404 429', 'by one or the other';
    ok $count{404} >= 50 && $count{404} <= 50 + $more, "exactly as many as the bucket holds are let in: $count{404} of 50";
    is limits(ask('POST /small/x', by => [$org, 1])), 'write-user 50 0', 'and it is empty';
    my $now = counts();
    is $now->{Refused} - $was->{Refused}, $count{429} + 1, 'all refusals are counted';
    is $now->{Undecided} - $was->{Undecided}, 0, 'nobody passed undecided';
}
my %child = map { $_ => 1 } do { open my $fh, '<', "$ENV{TEST_STAGE}/t/logs/quota_children" or die $!; <$fh> };
cmp_ok scalar keys %child, '>=', 2, 'several children answered';
done_testing;
