# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Keys change while httpd runs: new ones are taken within a second or two, old ones stay while the
# file is half written, broken or gone, and a bad version is reported once a child.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin, "$ENV{TEST_STAGE}/t/lib";
use Http;
use My::Log qw(expect_error log_mark log_since);
use My::Token qw(claims json sign token);
use Test::More tests => 16;

my $port = port_of('tenant_client');
my $file = My::Token::dir() . '/jwks-rotating.json';
my $page = 'GET /rotating/page.html';
expect_error('OG1000: ', 'OG1001: ');

my $new_key = My::Token::make_key('EdDSA', My::Token::dir() . '/new.pem');
my $new_jwks = json({ keys => [My::Token::jwk('EdDSA', $new_key, kid => 'new')] });
my $old = token(user => 21);
my $new = sign('EdDSA', claims(), header => { kid => 'new' }, key => $new_key);

sub status { return request($port, $page, Authorization => "Bearer $_[0]")->{status} }

# All children answer so: twenty times in a row, within ten seconds (two children share the load).
sub settles {
    my ($token, $status) = @_;
    my $run = 0;
    for (1 .. 1000) {
        $run = status($token) == $status ? $run + 1 : 0;
        return 1 if $run == 20;
        select undef, undef, undef, 0.01;
    }
    return 0;
}

# In place, as a careless copy does: not the atomic rename of My::Token::spew
sub write_in_place {
    open my $fh, '>', $file or die "$file: $!";
    print $fh $_[0];
    close $fh or die $!;
}

# A line of a tag was written at most once by each process since the mark.
sub once_a_child {
    my ($mark, $tag) = @_;
    my ($log, %lines) = log_since($mark);
    $lines{$1}++ while $log =~ /^.*\[pid (\d+):.*$tag: /mg;
    return %lines && !grep { $_ > 1 } values %lines;
}

# Every child has read the keys since the mark, asked until it has: one may answer twenty in a row.
sub taken {
    my $mark = shift;
    my $parent = My::Token::slurp("$ENV{TEST_STAGE}/t/logs/httpd.pid") + 0;
    my @children = split ' ', qx(ps -o pid= --ppid $parent);
    for (1 .. 1000) {
        status($new);
        my $log = log_since($mark);
        return 1 if !grep { kill(0, $_) && $log !~ /\[pid $_:.*OG1002: \Q$file\E/ } @children;
        select undef, undef, undef, 0.01;
    }
    return 0;
}

sub seen {
    my ($mark, $tag) = @_;
    for (1 .. 500) {
        status($old);
        return 1 if log_since($mark) =~ /$tag/;
        select undef, undef, undef, 0.02;
    }
    return 0;
}

is status($old), 200, 'the first keys verify';
is status($new), 401, 'and no others';

my $mark = log_mark();
truncate $file, 40 or die "$file: $!";      # at once: an empty file in between is another bad one
ok seen($mark, 'OG1001'), 'a half-written file is noticed';
is status($old), 200, 'the old keys stay';
my $until = time + 3;
status($old), select undef, undef, undef, 0.02 while time < $until;
ok once_a_child($mark, 'OG1001'), 'it is reported once a child';

$mark = log_mark();
write_in_place($new_jwks);
ok taken($mark), 'the whole file is taken, by every child';
is status($new), 200, 'a token of the new key is let in';
ok settles($old, 401), 'a token of the old key is refused, though it was verified before';
is problem(request($port, $page, Authorization => "Bearer $old"))->{details}{reason}, 'key', 'for its key';

$mark = log_mark();
unlink $file or die $!;
ok seen($mark, 'OG1000'), 'a file that is gone is noticed';
is status($new), 200, 'its keys stay';
my $weak = My::Token::dir() . '/weak.pem';
My::Token::openssl('genpkey', '-quiet', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024', '-out', $weak);
$mark = log_mark();
My::Token::spew($file, json({ keys => [My::Token::jwk('RS256', $weak, kid => 'weak')] }));
ok seen($mark, 'OG1001'), 'a weak key is noticed';
is status($new), 200, 'and not taken';
like log_since($mark), qr/expected an RSA key of 2048 to 8192 bits, not 1024/, 'the log says why';
is status(sign('RS256', claims(), header => { kid => 'weak' }, key => $weak)), 401, 'its tokens are refused';

My::Token::spew($file, My::Token::slurp(My::Token::dir() . '/jwks.json'));
ok settles($old, 200), 'the first keys are taken back';
