# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Two organisations take turns on the same connections, and leave some of them half way (B16): what
# one of them sent or was sent is in no answer of the other. With a pool-debug APR (build/soak) a
# pool that is used after its request would show here.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org);
use My::Finance qw(expense);
use My::Wire;
use Rows;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

use constant { STEPS => 2000, CONNECTIONS => 6 };
my $seed = $ENV{TEST_SEED} // 1609;
srand $seed;

my @orgs = (make_org(9341), make_org(9342));
my %port = map { $_ => Rows::port_of($_) } qw(main tenant_client);
my $coder = JSON::PP->new->canonical->utf8;
my ($n, %ids) = (0);
sub canary { my $org = shift; return "canary-$org-" . ++$n }

sub message {
    my ($org, $what, $body, %head) = @_;
    my %all = (Host => 'localhost', Authorization => 'Bearer ' . Rows::caller_token("org=$org,user=${org}1"),
        'User-Agent' => canary($org), 'X-Request-Id' => canary($org), Origin => 'https://' . canary($org), %head);
    $all{'Content-Length'} = length $body if defined $body;
    return "$what HTTP/1.1\r\n" . join('', map { "$_: $all{$_}\r\n" } grep { defined $all{$_} } sort keys %all) . "\r\n" . ($body // '');
}
sub json { return ('Content-Type' => 'application/json') }
sub event { return $coder->encode({ orgId => shift, type => 'expense.created', data => { text => shift } }) }

# What may be asked: a name, the server, the bytes for an organisation, the statuses that are right
my $path = '/v1/finance/expenses';
my @kinds = (
    ['a list',         'main', sub { message($_[0], "GET $path?limit=20") }, 200],
    ['a filter',       'main', sub { message($_[0], "GET $path?category=" . canary($_[0])) }, 200],
    ['an expense',     'main', sub { message($_[0], "GET $path/" . ($ids{ $_[0] } // 1)) }, 200, 404],
    ["the other's",    'main', sub { message($_[0], "GET $path/" . ($ids{ (grep { $_ != $_[0] } @orgs)[0] } // 1)) }, 404],
    ['a write',        'main', sub { message($_[0], "POST $path", $coder->encode(expense($_[0] * 10 + 1,
        description => canary($_[0]), notes => canary($_[0]) x 50)), json(), 'Idempotency-Key' => canary($_[0])) }, 201],
    ['a refusal',      'main', sub { message($_[0], "POST $path", $coder->encode({ canary($_[0]) => 1 }), json(),
        'Idempotency-Key' => canary($_[0])) }, 422],
    ['no JSON',        'main', sub { message($_[0], "POST $path", canary($_[0]) x 100, json(), 'Idempotency-Key' => canary($_[0])) }, 400],
    ['a foreign head', 'main', sub { message($_[0], "GET $path?limit=1", undef, 'X-Org-Key' => canary($_[0]), Cookie => canary($_[0]) x 100) }, 200],
    ['no such path',   'main', sub { message($_[0], 'GET /v1/finance/' . canary($_[0])) }, 404],
    ['no token',       'main', sub { message($_[0], "GET $path", undef, Authorization => 'Bearer ' . canary($_[0])) }, 401],
    ['an event',       'main', sub { message($_[0], 'POST /rt/a/publish', event($_[0], canary($_[0]) x 20), json(), Authorization => undef) }, 202],
    ['a poll',         'main', sub { message($_[0], 'GET /rt/a/subscribe?wait=0&cursor=earliest') }, 200],
    ['a page',         'tenant_client', sub { message($_[0], 'GET /secured/page.html?a=' . canary($_[0])) }, 200],
    ['a proxied page', 'tenant_client', sub { message($_[0], 'GET /backend/page.html?a=' . canary($_[0]), undef, Authorization => undef) }, 200],
    ['a denial',       'tenant_client', sub { message($_[0], 'GET /denied/' . canary($_[0])) }, 403],
    ['a cached page',  'tenant_client', sub { message($_[0], 'GET /cached/page.html', undef, Authorization => undef) }, 200, 304],
);

my %wires = map { $_ => [] } keys %port;
my (@wrong, %asked);

sub check {
    my ($org, $name, $answer, @status) = @_;
    my ($other) = grep { $_ != $org } @orgs;
    return push @wrong, "$name: no answer" unless $answer;
    push @wrong, "$name: status $answer->{status}" unless grep { $_ == $answer->{status} } @status;
    push @wrong, "$name for $org: " . substr($&, 0, 60) if $answer->{raw} =~ /canary-$other.{0,40}|"orgId":$other/s;
    $ids{$org} = $1 if $name eq 'a write' && $answer->{body} =~ /"id":(\d+)/;
    return;
}

# One connection of a server's, new when there are few.
sub take_wire {
    my $to = shift;
    my $wires = $wires{$to};
    return My::Wire->new($port{$to}) if @$wires < CONNECTIONS;
    return splice @$wires, rand @$wires, 1;
}

# Leaves in the middle of a request, by FIN or by RST.
sub leave {
    my ($wire, $bytes) = @_;
    $wire->send(substr $bytes, 0, 1 + rand length $bytes);
    setsockopt $wire->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if rand() < 0.5;
    close $wire->{socket};
    return;
}

for my $step (1 .. STEPS) {
    my ($name, $to, $make, @status) = @{ $kinds[rand @kinds] };
    my $org = $orgs[rand @orgs];
    my $wire = take_wire($to);
    my $way = rand;
    $asked{$name}++;
    if ($way < 0.1) {
        leave($wire, $make->($org));
        next;
    }
    if ($way < 0.15) {      # parked, and left there
        leave($wire, message($org, 'GET /rt/a/subscribe?wait=25') . ' ') if $to eq 'main';
        next;
    }
    my @who = $way < 0.3 ? (@orgs, @orgs) : ($org);     # several in one go, for both in turn
    $wire->send(join '', map { $make->($_) } @who);
    my $keep;
    for my $one (@who) {
        my $answer = $wire->answer;
        check($one, $name, $answer, @status);
        $keep = $answer && $answer->{keep} or last;
    }
    push @{ $wires{$to} }, $wire if $keep;
}
is_deeply \@wrong, [], STEPS . " requests of two organisations in turn (TEST_SEED=$seed): none is told of the other";
cmp_ok scalar(keys %asked), '==', @kinds, 'all kinds of request were among them';
ok $ids{$_}, "organisation $_ wrote something" for @orgs;
done_testing;
