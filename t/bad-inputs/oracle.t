# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# No oracle (B17): what is another organisation's is answered as what does not exist: the same fields, the
# same body, the same statements sent to the database, and in as much time. What is no id at all, and
# whatever a poll asks for, gets no database to say anything.
#
# Time is compared over interleaved requests on one connection, beside a second kind of absent ones: where
# these two differ, the machine is too noisy to say anything, and the test says that. ORACLE_REQUESTS (200)
# of each kind.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org quick wait_for);
use My::Finance qw(expense);
use My::Postgres;
use My::Server;
use My::Wire;
use Rt qw(caller_of);
use Test::More;
use Time::HiRes qw(time);

use constant { ORG => 9401, OTHER => 9402, ALIKE => 1.4, CALM => 1.2, TURNS => 5 };
my $each = $ENV{ORACLE_REQUESTS} || 200;

my $pg = My::Postgres->new->start('-c', 'log_statement=all', '-c', 'log_line_prefix=%u ')->migrate;
$ENV{TEST_PGHOST} = $pg->host;      # My::DB's
make_org($_) for ORG, OTHER;
my $httpd = My::Server->new('oracle', realtime => 1, dsn => $pg->host, lines => "FinanceEventDomain rt_a\n")->start;
my $wire = My::Wire->new($httpd->port);
my $coder = JSON::PP->new->canonical->utf8;
my %token = (
    owner   => caller_of(org => ORG, user => ORG * 10 + 1),
    manager => caller_of(org => ORG, user => ORG * 10 + 2, role => 'manager', properties => [ORG * 10 + 1, ORG * 10 + 2]),
    other   => caller_of(org => OTHER, user => OTHER * 10 + 1),
);

my $keys = 0;
sub ask {
    my ($who, $method, $path, $body) = @_;
    my %field = (Host => 'localhost', Authorization => $token{$who});
    @field{qw(Content-Type Content-Length Idempotency-Key)} = ('application/json', length $body, 'oracle-' . ++$keys) if defined $body;
    my $bytes = "$method $path HTTP/1.1\r\n" . join('', map { "$_: $field{$_}\r\n" } sort keys %field) . "\r\n" . ($body // '');
    $wire = My::Wire->new($httpd->port) if !$wire->send($bytes) && $wire->send($bytes);
    my $answer = $wire->answer or die "no answer to $method $path";
    $wire = My::Wire->new($httpd->port) if !$answer->{keep};
    return $answer;
}

# All that is not of the one message
sub essence {
    my $answer = shift;
    return join '', map { s/"instance":"[^"]*"/"instance"/r } grep { !/^(?:Date|X-Request-Id|Keep-Alive|Connection):/i }
        split /(?<=\n)/, "$answer->{head}\n$answer->{body}";
}

# What the app's sessions were told to do since a place in the log. A pool says SELECT 1 when it looks
# whether the database is there, which is no request's doing.
sub statements {
    my $from = shift;
    wait_for(20, sub { !quick("SELECT count(*) FROM pg_stat_activity WHERE usename = 'orgscale_app' AND state <> 'idle'") })
        or die 'sessions that do not end';
    return [grep { $_ ne 'SELECT 1' } substr($pg->log, $from) =~ /^orgscale_app LOG:  (?:execute [^:]*|statement): (.*)$/mg];
}
sub place { return length $pg->log }

# An id that nobody has, and never the same
my $nobody = 7_000_000;
my $theirs = $coder->decode(ask('other', 'POST', '/v1/finance/expenses', $coder->encode(expense(OTHER * 10 + 1)))->{body})->{id};
my $own = ORG * 10 + 1;
ask('owner', 'POST', '/v1/finance/expenses', $coder->encode(expense($own)));
sub booked { return $coder->encode(expense(shift)) }

# What is asked for by id, whose id it is then, the status
my @cases = (
    ['a filter',          sub { ('GET', "/v1/finance/expenses?propertyId=$_[0]") }, OTHER * 10 + 1, 404],
    ['a list of filters', sub { ('GET', "/v1/finance/expenses?propertyId=$own,$_[0]") }, OTHER * 10 + 2, 404],
    ['an expense',        sub { ('GET', "/v1/finance/expenses/$_[0]") }, $theirs, 404],
    ['a booking',         sub { ('POST', '/v1/finance/expenses', booked($_[0])) }, OTHER * 10 + 1, 404],
);
for my $case (@cases) {
    my ($what, $request, $id, $status) = @$case;
    for my $who (qw(owner manager)) {
        my $from = place();
        my $absent = ask($who, $request->(++$nobody));
        my $for_absent = statements($from);
        $from = place();
        my $foreign = ask($who, $request->($id));
        is "$absent->{status} $foreign->{status}", "$status $status", "$who, $what: there is none";
        is essence($foreign), essence($absent), "$who, $what: the answers are the same";
        is_deeply statements($from), $for_absent, "$who, $what: so are the statements";
        cmp_ok scalar @$for_absent, '>=', 4, "$who, $what: of a transaction";
    }
}

# What was not granted of the own organisation may be told from that: it is 403
is ask('manager', $_->())->{status}, 403, 'a property of the own organisation that was not granted'
    for sub { ('GET', '/v1/finance/expenses?propertyId=' . (ORG * 10 + 3)) }, sub { ('POST', '/v1/finance/expenses', booked(ORG * 10 + 3)) };

# What is no id is refused before anything is looked up
my $from = place();
for my $bad ('-1', '0', '01', '+1', '1.0', '1e3', '9007199254740992', '1%20or%201%3D1', "1'", '1,,2', '1,', ',1', '', '1;2', '0x1', '%31%00') {
    my $got = ask('owner', 'GET', "/v1/finance/expenses?propertyId=$bad");
    is $got->{status}, 400, "'$bad' is no property";
    $got = ask('manager', 'GET', "/rt/a/subscribe?wait=0&propertyId=$bad");
    is $got->{status}, 400, "'$bad' is none for a poll";
}
is_deeply statements($from), [], 'the database is not asked';
is ask('owner', 'GET', '/v1/finance/expenses?propertyId=2147483648')->{status}, 404, '2^31 is an id like others';

# Polls: 403 for all that was not granted, whoever has it
$from = place();
my @poll = map { ask('manager', 'GET', "/rt/a/subscribe?wait=0&propertyId=$_") } ORG * 10 + 3, OTHER * 10 + 1, ++$nobody, "$own," . (OTHER * 10 + 1),
    "$own,$nobody", 2_147_483_648;
is join(' ', map { $_->{status} } @poll), '403 403 403 403 403 403', 'a poll of what was not granted';
is_deeply [map { essence($_) } @poll], [(essence($poll[0])) x 6], 'is refused in the same words';
is_deeply statements($from), [], 'and by the token alone';

# Time

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

# Medians of a kind, asked in turn: so what else the machine does is shared.
sub medians {
    my @kinds = @_;
    my @took;
    for my $turn (1 .. $each) {
        for my $n (0 .. $#kinds) {
            my @request = $kinds[$n]->();
            my $began = time;
            ask(@request);
            push @{ $took[$n] }, time - $began;
        }
    }
    return map { median(@$_) } @took;
}

sub apart { my ($one, $other) = @_; return $one > $other ? $one / $other : $other / $one }

sub takes_as_long {
    my ($name, $absent, $foreign) = @_;
    my @said;
    my $was_calm = 0;
    for (1 .. TURNS) {
        my ($first, $second, $it) = medians($absent, $absent, $foreign);
        push @said, sprintf '%.0f and %.0f us, and %.0f', map { $_ * 1e6 } $first, $second, $it;
        return pass("$name: in as much time ($said[-1])") if apart($first, $it) < ALIKE && apart($second, $it) < ALIKE;
        $was_calm = 1 if apart($first, $second) < CALM;
    }
    diag "$name: $_" for @said;
    return pass("$name: too noisy a machine to compare times") if !$was_calm;
    return fail("$name: in as much time");
}

for my $case (@cases) {
    my ($what, $request, $id) = @$case;
    takes_as_long($what, sub { ('manager', $request->(++$nobody)) }, sub { ('manager', $request->($id)) });
}
takes_as_long('a poll', sub { ('manager', 'GET', '/rt/a/subscribe?wait=0&propertyId=' . ++$nobody) },
    sub { ('manager', 'GET', '/rt/a/subscribe?wait=0&propertyId=' . (OTHER * 10 + 1)) });

is(($httpd->stop)[0], 0, 'the server stops as it should');
done_testing;
