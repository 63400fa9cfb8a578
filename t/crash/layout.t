# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A graceful restart loads a new version whose shared memory looks otherwise (F36): it makes its own,
# the old children end with theirs, and clients learn of it by a gap.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/realtime";
use Apache::Test ();
use My::Hooks;
use My::Server;
use My::Token ();
use Rt qw(answer caller_of event ids json_of poll publish subscribe wait_for waiters);
use Test::More;

my $hooks = My::Hooks->new;
my $secret = "$ENV{TEST_STAGE}/t/logs/layout.secret";
My::Token::spew($secret, 's' x 32);
my $httpd = My::Server->new('layout', realtime => 1, lines => "RealtimeCursorSecret file:$secret\n")->start(env => $hooks->env);
$Rt::address = '127.0.0.1:' . $httpd->port;
my $token = caller_of(org => 61);

my $cursor = subscribe('a', $token, 'wait=0')->{cursor};
publish('a', event(61, eventId => 'old'));
for my $layout (1 .. 3) {
    my @old = $httpd->children;
    my $parked = poll('a', caller_of(org => 62), 'wait=25');
    ok wait_for(10, sub { waiters(62) == 1 }), "layout $layout: a poll is parked";
    $hooks->layout($layout);
    $httpd->graceful;
    ok json_of(answer($parked, 10))->{drain}, 'it is told to come back';
    ok wait_for(20, sub { !grep { kill 0, $_ } @old }), 'the old children end';
    my $read = subscribe('a', $token, "wait=0&cursor=$cursor");
    is_deeply [$read->{gap}{reason}, ids($read)], ['epoch', ''], 'a cursor from before has a gap, and no event is half read';
    $cursor = $read->{cursor};
    is waiters(62), 0, 'nobody is counted as waiting';
    my $again = poll('a', $token, "wait=20&cursor=$cursor");
    ok wait_for(10, sub { waiters(61) == 1 }), 'a poll is parked in the new memory';
    publish('a', event(61, eventId => "new$layout"));
    is ids(json_of(answer($again))), "new$layout", 'and woken';
    $cursor = subscribe('a', $token, 'wait=0')->{cursor};
}
$httpd->graceful;
ok wait_for(10, sub { (eval { ids(subscribe('a', $token, 'wait=0&cursor=earliest')) } // '') eq 'new3' }), 'the same layout again keeps all';
is(($httpd->stop)[0], 0, 'the server ends');
done_testing;
