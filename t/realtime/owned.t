# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# RealtimePark owned: a client's next poll needs no worker when it differs from the last one in its
# query alone; whatever else comes on its connection is a worker's, and in order. All workers are taken
# by requests whose bodies don't come, to see which is which.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use IO::Select ();
use My::Log qw(expect_error);
use My::Server;
use Rt qw(answer ask caller_of event ids json_of metrics poll publish request say_on subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'owned is for the event MPM' if ($ENV{TEST_MPM} // 'event') ne 'event';
expect_error('AH00484|AH10159');     # all threads are taken, and that is said
use constant { THREADS => 2, SOON => 1, NOW => 'wait=1&cursor=earliest' };    # NOW: there is an event, and it does not wait
my $org = 430;
my $slow = My::Server::slowness();
my $httpd;

sub token { return caller_of(org => $org) }
sub head { return "GET /rt/a/subscribe?$_[0] HTTP/1.1\r\nHost: localhost\r\nAuthorization: " . token() . "\r\n" . ($_[1] // '') . "\r\n" }

sub said_within { return IO::Select->new($_[0])->can_read($_[1]) }

sub served {
    my ($name, %site) = @_;
    $httpd = My::Server->new("owned_$name", realtime => 1, mpm => <<"CONF" . ($site{mpm} // ''), lines => <<"LINES" . ($site{lines} // ''));
StartServers 1
ServerLimit 1
ThreadsPerChild @{[THREADS]}
MaxRequestWorkers @{[THREADS]}
AsyncRequestWorkerFactor 40
CONF
RealtimePark owned
MaxKeepAliveRequests 0
KeepAliveTimeout 60
RequestReadTimeout header=60 body=60
LINES
    $httpd->start;
    $Rt::address = '127.0.0.1:' . $httpd->port;
    publish('a', event($org, eventId => 'first'));
    return;
}

# Takes all workers until what it returns is called.
sub all_taken {
    my @taken = map { say_on(ask('POST', '/rt/a/publish', undef, 'Content-Type' => 'application/json', 'Content-Length' => 2), '[') } 1 .. THREADS;
    # whoever asks now is not answered
    wait_for(20, sub {
        my $probe = ask('GET', '/index.html');
        return 1 if !said_within($probe, 0.3);
        close $probe;
        return 0;
    }) or BAIL_OUT('the workers are not taken');
    return sub {
        say_on($_, ']') for @taken;
        answer($_) or BAIL_OUT('a taken worker does not come back') for @taken;
        return;
    };
}

# A connection whose polls are known: its third is run without a worker
sub known {
    my $more = shift;
    my $socket = ask('GET', '/index.html');
    answer($socket) or BAIL_OUT('no answer');
    for (1 .. 2) {
        say_on($socket, head(NOW, $more));
        answer($socket) or BAIL_OUT('no answer to a poll');
    }
    return $socket;
}

# What is said on a connection that is known, while all workers are taken: 1: it is answered
sub needs_no_worker {
    my ($socket, $text) = @_;
    my $free = all_taken();
    say_on($socket, $text);
    my $soon = said_within($socket, SOON * $slow);
    $free->();
    return $soon ? 1 : 0;
}

sub polls_again {
    my ($what, $socket) = @_;
    my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
    say_on($socket, head("wait=20&cursor=$cursor"));
    ok wait_for(5 * $slow, sub { waiters($org) == 1 }), "$what: the next poll on its connection is parked";
    publish('a', event($org, eventId => $what =~ tr/a-zA-Z0-9/-/cr));
    is ids(json_of(answer($socket) // BAIL_OUT('no answer'))), $what =~ tr/a-zA-Z0-9/-/cr, 'and woken';
    return;
}

served('plain', lines => "<Location /server-status>\nSetHandler server-status\n</Location>\n");

# polls, one behind the other, of two clients
my @known = (known(), known());
my $free = all_taken();
my $answered = 0;
for my $round (1 .. 2) {
    say_on($_, head("wait=1&cursor=now&limit=$round")) for @known;
    $answered += grep { my $res = answer($_, 3 * $slow); $res && $res->{status} == 200 } @known;
}
is $answered, 4, 'polls are read, parked and answered while all workers are taken';
$free->();
polls_again('polls', $known[0]);

# whatever else comes needs a worker, and gets one
my @foreign = (
    # what, what is said, how many answers, of which status
    ['another request', "GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", 1, 200],
    ['another header', head(NOW, "X-Another: 1\r\n"), 1, 200],
    ['another method', head(NOW) =~ s/^GET/OPTIONS/r, 1, qr/^[24]0/],
    ['another path', head(NOW) =~ s/subscribe/metrics/r, 1, 200],
    ['another version', head(NOW) =~ s{HTTP/1.1}{HTTP/1.0}r =~ s/\r\n\r\n/\r\nConnection: keep-alive\r\n\r\n/r, 1, 200],
    ['a body', head(NOW, "Content-Length: 2\r\n") . '{}', 1, 200],
    ['a body in chunks', head(NOW, "Transfer-Encoding: chunked\r\n") . "2\r\n{}\r\n0\r\n\r\n", 1, 200],
    ['two polls at once', head(NOW) . head(NOW), 2, 200],
    ['a poll and a part', head(NOW) . 'GET /index.html HTTP/1.1', 2, 200, "\r\nHost: localhost\r\n\r\n"],
    ['a part of a poll', substr(head(NOW), 0, 50), 1, 200, substr head(NOW), 50],
    ['line feeds', head(NOW) =~ s/\r\n/\n/gr, 1, 400],
    ['a long head', head(NOW, 'X-Long: ' . 'x' x 8000 . "\r\n"), 1, 200],
);
for my $case (@foreign) {
    my ($what, $text, $count, $status, $rest) = @$case;
    my $socket = known();
    ok !needs_no_worker($socket, $text), "$what: waits for a worker";
    say_on($socket, $rest) if defined $rest;
    my @got = map { answer($socket, 20) // { status => 0 } } $count == 1 ? 1 : ();
    if ($count > 1) {
        my $all = '';
        wait_for(20, sub {
            sysread $socket, $all, 65536, length $all if said_within($socket, 0.1);
            return $count <= (() = $all =~ m{HTTP/1\.1 200 }g);
        });
        @got = map { { status => 200 } } $all =~ m{HTTP/1\.1 200 }g;
        sysread $socket, $all, 65536, length $all while said_within($socket, 0.2);
    }
    is scalar @got, $count, 'and is answered once there is one';
    ref $status ? like $got[0]{status}, $status, 'as ever' : is $got[0]{status}, $status, 'as ever';
    polls_again($what, $socket) if ($got[0]{head} // "") !~ /^Connection: close/mi;
    close $socket;
}

# one that announces a body is not known again
my @announced = (["Content-Length: 2\r\n", '{}'], ["Transfer-Encoding: chunked\r\n", "0\r\n\r\n"]);
for my $case (@announced) {
    my ($line, $body) = @$case;
    my $socket = known();
    for (1 .. 2) {
        say_on($socket, head(NOW, $line) . $body);
        answer($socket) or BAIL_OUT('no answer');
    }
    ok !needs_no_worker($socket, head(NOW, $line)), $line =~ s/:.*//sr . ': a worker each time';
}

# what does not come to wait: one that must not, and one that is refused
my $socket = known();
ok needs_no_worker($socket, head('wait=0')), 'a poll that does not wait needs no worker';
answer($socket) or BAIL_OUT('no answer');
polls_again('not waited', $socket);
$socket = known();
ok needs_no_worker($socket, head('wait=x')), 'a poll that is refused is so without a worker';
is answer($socket)->{status}, 400, 'with its error';
ok wait_for(5, sub { said_within($socket, 0.1) && !sysread $socket, my $text, 1 }), 'and its connection ends, as ever behind a 400';

# a client that begins with where it is, as most do, is known by its second poll
$socket = ask('GET', '/rt/a/subscribe?cursor=now&wait=0', undef, Authorization => token());
answer($socket) or BAIL_OUT('no answer');
ok !needs_no_worker($socket, my $second = head(NOW)), 'a second poll is run by a worker';
answer($socket) or BAIL_OUT('no answer');
ok needs_no_worker($socket, $second), 'and known again behind it';
answer($socket) or BAIL_OUT('no answer');

# who looks after a request on such a connection is seen in the scoreboard
my $status = answer(say_on(known(), "GET /server-status HTTP/1.1\r\nHost: shown\r\n\r\n"));
like $status->{body}, qr{GET /server-status HTTP/1.1}, 'a request that a worker runs is shown by mod_status';
is(($httpd->stop)[0], 0, 'the server ends');

# MaxKeepAliveRequests and the end of a connection are the server's to say, whoever runs the polls
served('bounded', lines => "MaxKeepAliveRequests 6\n");
$socket = known();
my @closed = map { say_on($socket, head(NOW)); my $res = answer($socket); $res->{head} =~ /^Connection: close/mi ? 1 : 0 } 4 .. 7;
is "@closed", '0 0 0 1', 'MaxKeepAliveRequests counts polls as well';
ok wait_for(5, sub { said_within($socket, 0.1) && !sysread $socket, my $text, 1 }), 'and the connection ends behind its last';
is(($httpd->stop)[0], 0, 'the server ends');

# what makes the notifier wait once is left to workers for a while
open my $fh, '>', $httpd->dir . '/slow.pl' or die "slow.pl: $!";
print $fh "#!$^X\n\$| = 1; while (<STDIN>) { select undef, undef, undef, 0.1 if /slow/; print \"x\\n\" }\n";
close $fh;
chmod 0755, $httpd->dir . '/slow.pl';
served('slept', lines => <<"CONF");
RewriteEngine On
RewriteMap asked prg:@{[$httpd->dir]}/slow.pl
RewriteCond %{QUERY_STRING} (slow|quick)
RewriteRule ^/rt/a/subscribe - [E=said:\${asked:%1}]
RewriteRule ^/lasts - [E=said:\${asked:slow}]
CONF
$socket = known();
my $mark = $httpd->mark;
say_on($socket, head('wait=1&cursor=now&types=quick.x'));
answer($socket) or BAIL_OUT('no answer');
unlike $httpd->errors($mark), qr/OG1524/, 'what is quick is not spoken of';
say_on($socket, head('wait=1&cursor=now&types=slow.x'));
answer($socket) or BAIL_OUT('no answer');
like $httpd->errors($mark), qr/:info\].*OG1524: a poll waited for \d+ ms before it was parked/, 'a poll that waits before it is parked is spoken of';
ok !needs_no_worker($socket, head(NOW)), 'and workers run the next ones';
answer($socket) or BAIL_OUT('no answer');
ok wait_for(30, sub { my $soon = needs_no_worker($socket, head(NOW)); answer($socket) or BAIL_OUT('no answer'); $soon }), 'for a while';

# what a poll came behind is not known for one
my $lasts = "GET /lasts HTTP/1.1\r\nHost: localhost\r\n\r\n";
say_on($socket, $lasts);
sleep 0.05;
say_on($socket, head(NOW));
my $both = '';
wait_for(20, sub { sysread $socket, $both, 65536, length $both if said_within($socket, 0.1); return 2 <= (() = $both =~ m{HTTP/1\.1 \d}g) })
    or BAIL_OUT('no answers to two');
ok !needs_no_worker($socket, $lasts), 'a request that a poll came close behind is a worker\'s';
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
