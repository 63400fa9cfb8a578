# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A refused request's body is neither awaited nor drained (B29, B30): the answer is there at once, no
# 100 is sent for it, the connection closes, and nothing of the body is taken for a request.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Http qw(has_h2 problem);
use My::Wire;
use Quota qw(ask caller_of port statuses);
use Test::More;
use Time::HiRes qw(time);

my $org = 7300;
my $mib = 1024 * 1024;

# A user whose writes below /small are used up.
sub spent {
    my $user = [++$org, 1];
    ask('POST /small/x', by => $user) for 1 .. 50;
    is ask('POST /small/x', by => $user)->{status}, 429, 'a user who has used up his writes';
    return 'Authorization: ' . caller_of(@$user) . "\r\n";
}

my $who = spent();
my $head = "POST /small/x HTTP/1.1\r\nHost: localhost\r\n$who";
my $canary = "GET /limits/page.html HTTP/1.1\r\nHost: localhost\r\n$who\r\n";

# nothing of the body is sent: whoever waits for it would wait for ever
for my $announced ("Content-Length: " . 10 * $mib, 'Transfer-Encoding: chunked', "Content-Length: " . 10 * $mib . "\r\nExpect: 100-continue") {
    my $what = $announced =~ s/\r\n/, /r;
    my $wire = My::Wire->new(port());
    my $began = time;
    $wire->send("$head$announced\r\n\r\n");
    $wire->until(10, sub { $wire->{in} =~ /\r\n\r\n/ });
    unlike $wire->{in}, qr{^HTTP/1\.1 100}, "$what: no 100";
    my $answer = $wire->answer;
    is $answer->{status}, 429, "$what: the answer does not wait for the body";
    ok !$answer->{keep}, "$what: and closes";
    ok defined $wire->rest(10), "$what: the connection ends";
    cmp_ok time - $began, '<', 8, "$what: soon";
}

# all of it is sent: the answer arrives all the same
for my $size (10 * $mib, 100) {
    my $wire = My::Wire->new(port());
    $wire->send("${head}Content-Length: $size\r\n\r\n" . ('x' x $size));
    my $answer = $wire->answer;
    is $answer->{status}, 429, "$size bytes of body: refused";
    is problem(Http::parse($answer->{raw}))->{code}, 'rate_limit_exceeded', "$size bytes of body: with its reason";
    is $wire->rest, '', "$size bytes of body: and nothing more";
}

# a body that is a request, behind one that is refused
for my $body ($canary, ('x' x 100) . $canary) {
    my $wire = My::Wire->new(port());
    $wire->send("${head}Content-Length: " . length($body) . "\r\n\r\n$body$canary");
    is $wire->answer->{status}, 429, 'a request in a body';
    is $wire->rest, '', 'is not answered';
}

# whatever the method: a read may have a body as well
ask('GET /signs/page.html', by => [$org, 1]) for 1 .. 3;
for my $method (qw(GET HEAD)) {
    my $wire = My::Wire->new(port());
    $wire->send("$method /signs/page.html HTTP/1.1\r\nHost: localhost\r\n${who}Content-Length: " . length($canary) . "\r\n\r\n$canary");
    is $wire->answer(method => $method)->{status}, 429, "a $method with a body that is a request";
    is $wire->rest, '', "$method: which is not answered";
}

# where there is no body there is nothing to close for
my $wire = My::Wire->new(port());
$wire->send("$head\r\n");
my $answer = $wire->answer;
is $answer->{status}, 429, 'without a body';
ok $answer->{keep}, 'the connection stays';
$wire->send("${head}Content-Length: 0\r\n\r\n$canary");
is $wire->answer->{status}, 429, 'with one of no bytes';
is $wire->answer->{status}, 200, 'it does, too: the next request is answered';

# the filter by hand: it lets pass what was not refused
$org++;
is ask('POST /filtered/page.html', by => [$org, 1], body => 'x' x 1000)->{status}, 200, 'SetInputFilter QUOTA lets a body through to the backend';
is ask('POST /filtered/page.html', by => [$org, 1], body => 'x' x 1000)->{status}, 429, 'unless it is refused';

SKIP: {
    skip 'no HTTP/2 with prefork', 3 unless has_h2();
    open my $fh, '>', "$ENV{TEST_STAGE}/t/logs/body" or die $!;
    print $fh 'x' x (10 * $mib);
    close $fh or die $!;
    my $began = time;
    # curl 7.88 takes the end of a stream that it still writes to for an error
    my $got = `nghttp -v -t 20 -H '${\($who =~ s/\r\n//r)}' -d $ENV{TEST_STAGE}/t/logs/body http://127.0.0.1:@{[port()]}/small/x`;
    like $got, qr/:status: 429/, 'a stream of HTTP/2 with 10 MiB is refused';
    like $got, qr/RST_STREAM.*\n.*NO_ERROR/, 'and ended, without fault';
    cmp_ok time - $began, '<', 15, 'in time';
    unlink "$ENV{TEST_STAGE}/t/logs/body";
}
done_testing;
