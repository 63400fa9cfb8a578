# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# 10,000 tokens of keys that nobody knows (B05): they are refused as fast as any, the key file is not
# read again for them, also while it changes all the time or is gone, and they leave nothing behind.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use My::Log qw(expect_error log_mark log_since);
use My::Token qw(b64 json token);
use My::Wire;
use Rows;
use Test::More;
use Time::HiRes qw(time);

use constant { BATCH => 100, BATCHES => 100 };      # MaxKeepAliveRequests is 100
expect_error('OG1000: ');
my $port = Rows::port_of('tenant_client');
my $file = My::Token::dir() . '/jwks-rotating.json';
my $right = My::Token::slurp($file);
my $good = token();

sub request { return "GET /rotating/page.html HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $_[0]\r\n\r\n" }

# A token whose key nobody has; of the right form, so that it comes as far as the look-up.
my $payload = b64(json(My::Token::claims()));
sub unknown {
    my $kid = join '', map { chr 33 + rand 93 } 1 .. 1 + rand 40;
    return b64(json({ alg => 'EdDSA', typ => 'JWT', kid => "-$kid" })) . ".$payload." . b64(join '', map { chr rand 256 } 1 .. 64);
}

# A batch of tokens on one connection: how long it took; what was not refused for that reason.
my @wrong;
sub refused {
    my ($reason, @tokens) = @_;
    my $wire = My::Wire->new($port);
    my $began = time;
    $wire->send(join '', map { request($_) } @tokens);
    for my $token (@tokens) {
        my $answer = $wire->answer or return push @wrong, 'no answer';
        push @wrong, "$answer->{status} $answer->{body}"
            if $answer->{status} != 401 || $answer->{body} !~ /"reason":"$reason"/;
    }
    return time - $began;
}

sub is_served {
    my $wire = My::Wire->new($port);
    $wire->send(request($good));
    my $answer = $wire->answer;
    return $answer && $answer->{status} == 200;
}

sub children {
    my $parent = My::Token::slurp("$ENV{TEST_STAGE}/t/logs/httpd.pid") + 0;
    return grep { /^\d+$/ } split ' ', qx(ps -o pid= --ppid $parent);
}
sub memory {        # of all children, MiB
    my $sum = 0;
    for my $pid (children()) {
        open my $fh, '<', "/proc/$pid/statm" or next;
        $sum += (split ' ', <$fh>)[1] * 4096;
    }
    return $sum / (1 << 20);
}
sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

# Lines of a tag since a mark, by process
sub lines_by_process {
    my ($mark, $tag) = @_;
    my %lines;
    my $log = log_since($mark);
    $lines{$1}++ while $log =~ /\[pid (\d+):[^\n]*$tag: [^\n]*jwks-rotating/g;
    return %lines;
}
sub reads_at_most {
    my ($name, $mark, $tag, $most) = @_;
    my %reads = lines_by_process($mark, $tag);
    ok %reads, "$name: the log says so";
    is_deeply [grep { $_ > $most } values %reads], [], "$name: at most $most lines a child";
    return;
}

# The file changes between any two batches. Each child reads it once a second at most.
my ($mark, $began, $children) = (log_mark(), time, join ' ', children());
my (@unknown, @garbage, $base);
my $served = 1;
for my $batch (1 .. BATCHES) {
    My::Token::spew($file, $right . ' ' x $batch);
    push @unknown, refused('key', map { unknown() } 1 .. BATCH);
    push @garbage, refused('malformed', map { 'x.y' } 1 .. BATCH) if $batch % 5 == 0;
    $served &&= is_served() if $batch % 10 == 0;
    $base = memory() if $batch == BATCHES / 5;
}
my $took = time - $began;
is_deeply \@wrong, [], BATCHES * BATCH . ' tokens of unknown keys are refused for that';
reads_at_most('a file that changes all the time', $mark, 'OG1002', int($took) + 2);
ok $served, 'a right token is let in all the while';
cmp_ok median(@unknown), '<=', 3 * median(@garbage) + 0.1, 'each is refused about as fast as one that is no token';
# a sanitizer keeps what was freed
cmp_ok memory() - $base, '<=', $ENV{ASAN_OPTIONS} || $ENV{TEST_WRAP} ? 512 : 16, 'and they leave no memory behind';

# It is gone: nobody is let in for that, nor looks for it with each token.
$mark = log_mark();
$began = time;
unlink $file or die "$file: $!";
@wrong = ();
refused('key', map { unknown() } 1 .. BATCH) while time < $began + 1.5;
is_deeply \@wrong, [], 'without the file unknown keys are refused as well';
reads_at_most('a file that is gone', $mark, 'OG1000', 1);
ok is_served(), 'and known ones are let in';

# Back to what other suites expect: every child has read it
$mark = log_mark();
My::Token::spew($file, "$right\n");
$began = time;
until (keys %{ { lines_by_process($mark, 'OG1002') } } >= children() || time > $began + 20) {
    refused('key', map { unknown() } 1 .. 10);
}
ok is_served(), 'the file is taken back';
is join(' ', children()), $children, 'no child died of it' if ($ENV{TEST_MPM} || 'event') eq 'event';
done_testing;
