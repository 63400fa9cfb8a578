# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Reloads and stops of a server that has parked polls (F04, F05, F06, F07, F35): what is kept, what
# is answered, how long it takes.
use strict;
use warnings FATAL => 'all';
use FindBin;
use List::Util qw(max);
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use Apache::TestConfig ();
use My::Log qw(expect_error expect_warn);
use My::Server;
use My::Token ();
use Rt qw(answer caller_of event ids json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(time);

use constant { WALKS => 30, STOPS => 5 };
my $slow = My::Server::slowness();
my $org = 700;
srand 7;

sub token { return caller_of(org => $org) }
sub kept { return subscribe('a', token(), 'wait=0&cursor=earliest') }

my $httpd = My::Server->new('reload', realtime => 1);
$httpd->start;
$Rt::address = '127.0.0.1:' . $httpd->port;

# F04, F05: what was published is there after each kind of reload, and with no child left of before
for my $how (qw(graceful restart killed)) {
    $org++;
    is publish('a', event($org, eventId => "before-$how"))->{status}, 202, "$how: an event is published";
    my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
    my @polls = map { poll('a', token(), "wait=25&cursor=$cursor") } 1 .. 6;
    ok wait_for(10, sub { waiters($org) == 6 }), "$how: six polls are parked";
    my @old = $httpd->children;
    my $began = time;
    if ($how eq 'killed') {
        expect_error('AH00052: child pid \d+ exit signal Killed');
        kill KILL => @old;
    }
    else { $httpd->$how }
    my @answers = grep { defined } map { answer($_, 10) } @polls;
    my @drained = grep { $_->{drain} && !@{ $_->{events} } && !$_->{gap} } map { json_of($_) } grep { $_->{status} == 200 } @answers;
    is scalar @drained, $how eq 'graceful' ? 6 : scalar @answers,
        "$how: " . ($how eq 'graceful' ? 'each is answered with drain' : 'who is answered at all is told to drain');
    ok wait_for(5 * $slow, sub { !grep { kill 0, $_ } @old }), "$how: the old children are gone within five seconds";
    ok wait_for(10, sub { eval { ids(kept()) eq "before-$how" } }), "$how: the event is there";
    ok wait_for(5, sub { waiters($org) == 0 }), "$how: nobody is counted as waiting";
    $cursor = subscribe('a', token(), 'wait=0')->{cursor};
    my $again = poll('a', token(), "wait=10&cursor=$cursor");
    ok wait_for(5, sub { waiters($org) == 1 }), "$how: a poll is parked";
    publish('a', event($org, eventId => "after-$how"));
    is ids(json_of(answer($again))), "after-$how", "$how: and woken";
}

# F04: ten graceful restarts in a row under a client that publishes and one that follows the cursor
{
    $org++;
    my ($cursor, $sent, $errors, @seen) = (subscribe('a', token(), 'wait=0')->{cursor}, 0, 0);
    for my $round (1 .. 10) {
        my $mark = $httpd->mark;
        kill USR1 => $httpd->pid;
        until ($httpd->errors($mark) =~ /resuming normal operations/) {
            my $res = eval { publish('a', event($org, eventId => 'r' . ++$sent)) } // { status => "none: $@" };
            $errors++, diag $res->{status} if $res->{status} ne '202';
            my $read = eval { subscribe('a', token(), "wait=0&cursor=$cursor") } // do { $errors++; diag $@; next };
            push @seen, ids($read) || (), $read->{gap} ? 'gap' : ();
            $cursor = $read->{cursor};
        }
    }
    push @seen, ids(subscribe('a', token(), "wait=0&cursor=$cursor")) || ();
    is $errors, 0, "ten reloads under load: none of $sent publications and polls fails";
    cmp_ok $sent, '>=', 10, 'of which there were some';
    is join(' ', @seen), join(' ', map { "r$_" } 1 .. $sent), 'and each event is seen once, in order';
}

# F05: stops, with polls parked. A client that has its answer closes, as it is told to.
my $quickest = 60;
for my $round (1 .. STOPS) {
    for my $signal (qw(WINCH TERM)) {
        $org++;
        my @polls = map { poll('a', token(), 'wait=25') } 1 .. 6;
        ok wait_for(10, sub { waiters($org) == 6 }), "stop $round by SIG$signal: six polls are parked";
        my ($mark, $began, @answers) = ($httpd->mark, time);
        my ($status, $took) = $httpd->stop($signal, sub {
            @answers = grep { defined } map { my $answer = answer($_, 5); close $_; $answer } @polls;
        });
        is $status, 0, 'it ends as it should';
        cmp_ok $took, '<=', 3 * $slow, 'within three seconds';
        unlike $httpd->errors($mark), qr/AH00045/, 'and no child is asked twice' if $slow == 1;
        if ($signal eq 'WINCH') {
            my $last = max(map { $_->{at} - $began } @answers);
            $quickest = $last if $last < $quickest;
        }
        is scalar(grep { $_->{status} == 200 && json_of($_)->{drain} } @answers), $signal eq 'WINCH' ? 6 : scalar @answers,
            $signal eq 'WINCH' ? 'each poll is answered' : 'a poll is answered, or its connection ends';
        $httpd->start;
    }
}
# a prefork child hears of it by a signal alone; its polls look at their clients once a second
cmp_ok $quickest, '<', 0.5 * $slow, 'six polls are answered as soon as the stop comes, once at least';

# F06: limits walk at random; what is kept obeys the newest of them, nothing is out of order or half
my ($size, $ttl, $number, %published) = (200, 120, 0);
$org++;
for my $walk (1 .. WALKS) {
    publish('a', [map { event($org, eventId => 'w' . ++$number, data => { n => $number, fill => 'x' x rand 500 }) } 1 .. 1 + rand 40]);
    my $middle = subscribe('a', token(), 'wait=0&limit=1&cursor=earliest');
    $size = 1 + int rand 60;
    $httpd->configure(realtime => 1, lines => join '', "RealtimeBufferSize $size\n", 'RealtimeMaxWaiters ' . (1 + int rand 9) . "\n",
        'RealtimeEventTTL ' . (60 + int rand 60) . "s\n", 'RealtimePollTimeout ' . (1 + int rand 20) . "s\n");
    $httpd->reload($walk % 3 ? 'USR1' : 'HUP');
    my $wanted = join ' ', map { "w$_" } ($number > $size ? $number - $size + 1 : 1) .. $number;
    # children of before answer until they are gone
    ok wait_for(10, sub { (eval { ids(kept()) } // '') eq $wanted }), "walk $walk: the newest $size events are kept, in order"
        or diag "wanted $wanted\n     got ", ids(kept());
    my $read = subscribe('a', token(), "wait=0&cursor=$middle->{cursor}");
    my ($first) = $middle->{events}[0]{eventId} =~ /(\d+)/;
    if ($number - $first > $size) {
        is_deeply [$read->{gap}{reason}, scalar @{ $read->{events} }], ['evicted', 0], "walk $walk: a cursor from before has an honest gap";
    }
    else {
        is ids($read), join(' ', map { "w$_" } $first + 1 .. $number), "walk $walk: a cursor from before goes on";
    }
}

# RealtimeBufferMemory is that of the start, and RealtimeCursorSecret may change
my $dir = $httpd->dir;
My::Token::spew("$dir/secret-$_", $_ x 40) for qw(a b);
my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
expect_warn('OG1512: RealtimeBufferMemory: changing it from 67108864 to 16777216 bytes takes a stop and a start');
for my $case (['a first secret', 'a'], ['another', 'b', 'a'], ['the other way round', 'a', 'b']) {
    my ($what, @files) = @$case;
    my $mark = $httpd->mark;
    $httpd->configure(realtime => 1, lines => "RealtimeBufferMemory 16M\nRealtimeCursorSecret " . join(' ', map { "file:$dir/secret-$_" } @files) . "\n");
    $httpd->graceful;
    like $httpd->errors($mark), qr/OG1512/, "$what: a change of RealtimeBufferMemory is refused with a warning";
    publish('a', event($org, eventId => 'w' . ++$number));
    ok wait_for(10, sub {
        my $read = subscribe('a', token(), "wait=0&cursor=$cursor");
        $cursor = $read->{cursor} if ids($read) eq "w$number" && !$read->{gap};
    }), "$what: a cursor of before the reload goes on";
}
$httpd->configure(realtime => 1, lines => "RealtimeCursorSecret file:$dir/secret-b\n");
$httpd->graceful->renewed;
ok wait_for(10, sub { (subscribe('a', token(), "wait=0&cursor=$cursor")->{gap} // {})->{reason} // '' eq 'foreign' }),
    'a secret that is named no more makes cursors foreign';

# F07: a broken configuration is refused by -k graceful, and the server serves on
sub apachectl {
    my @args = @_;
    my $binary = Apache::TestConfig->thaw->{vars}{httpd};
    my $said = qx($binary -f $dir/httpd.conf @args 2>&1);
    return ($? >> 8, $said);
}
for my $broken ('RealtimeBufferSize 0', 'NoSuchDirective on', 'RealtimeCursorSecret file:/nowhere', "<Location /x>\n") {
    my $mark = $httpd->mark;
    my @before = sort $httpd->children;
    $httpd->configure(realtime => 1, lines => "$broken\n");
    my ($status, $said) = apachectl('-k', 'graceful');
    isnt $status, 0, "$broken: refused";
    like $said, qr/expected|Invalid command|No such file|was not closed/i, 'with a sentence';
    is_deeply [sort $httpd->children], \@before, 'no child is replaced';
    is request('GET', '/index.html')->{status}, 200, 'the server serves on';
}

# F35: files of keys and secrets that are bad in the moment of a reload
my ($jwks, $hs) = ("$dir/jwks.json", "$dir/hs.secret");
my $good = My::Token::slurp(My::Token::dir() . '/jwks.json');
my $secret = My::Token::slurp(My::Token::dir() . '/hs256.secret');
my $lines = <<"CONF";
TenantKeySecret file:$hs
RealtimeCursorSecret file:$dir/secret-a
<Location /keys>
    AuthType       TenantJWT
    TenantJWKS     file:$jwks
    TenantSecret   shared file:$hs
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    Require        valid-user
</Location>
Alias /keys $ENV{TEST_STAGE}/t/htdocs
CONF
sub put { my ($file, $bytes) = @_; open my $fh, '>', $file or die "$file: $!"; print $fh $bytes; close $fh or die "$file: $!"; return }
put($jwks, $good);
put($hs, $secret);
$httpd->configure(realtime => 1, lines => $lines);
$httpd->graceful;
my @tokens = ('Bearer ' . My::Token::token(org => 1),
    'Bearer ' . My::Token::sign('HS256', My::Token::claims(), header => { kid => 'shared' }));
sub refused { return grep { request('GET', '/keys/index.html', undef, Authorization => $_)->{status} != 200 } @tokens }
ok wait_for(10, sub { !refused() }), 'tokens of both keys are let in';
expect_error('OG2206: (?:TenantJWKS|TenantSecret|TenantKeySecret|RealtimeCursorSecret): \S+: .*, what was read before stays in use', 'OG100[01]');
$cursor = subscribe('a', token(), 'wait=0')->{cursor};
my %bad = (
    'half written' => sub { put($_[0], substr $_[1], 0, 20) },
    'empty'        => sub { put($_[0], '') },
    'gone'         => sub { unlink $_[0] },
    'unreadable'   => sub { unlink $_[0]; symlink 'no/such/place', $_[0] },
    'a directory'  => sub { unlink $_[0]; mkdir $_[0] },
    'too long'     => sub { unlink $_[0]; put($_[0], 'x' x 2_000_000) },
);
for my $what (sort keys %bad) {
    my $mark = $httpd->mark;
    $bad{$what}->($jwks, $good);
    $bad{$what}->($hs, $secret);
    $bad{$what}->("$dir/secret-a", 'a' x 40);
    $httpd->graceful;
    my @names = $httpd->errors($mark) =~ /OG2206: (\w+):/g;
    is join(' ', sort @names), 'RealtimeCursorSecret TenantJWKS TenantKeySecret TenantSecret', "$what: a reload says so for each";
    is scalar(refused()), 0, "$what: and no valid token is refused" for 1 .. 20;
    is subscribe('a', token(), "wait=0&cursor=$cursor")->{gap}, undef, "$what: nor a cursor";
    my ($status) = apachectl('-t');
    isnt $status, 0, "$what: a config test refuses it";
    rmdir $_ for $jwks, $hs, "$dir/secret-a";
    unlink $_ for $jwks, $hs, "$dir/secret-a";
}
put($jwks, $good);
put($hs, $secret);
put("$dir/secret-a", 'a' x 40);
my $mark = $httpd->mark;
$httpd->graceful;
unlike $httpd->errors($mark), qr/OG2206/, 'good files are taken without a word';
ok !refused(), 'and their keys with them';

is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
