# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# F02, F03: a child is killed, crashes, or is stopped at each place of remembering a committed answer
# (IdempotencyRemember). Nobody waits for it, its key has its one effect, and what is recalled
# afterwards is what the database has.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use IO::Select ();
use JSON::PP ();
use My::DB qw(make_org quick);
use My::Finance qw(expense);
use My::Hooks;
use My::Log qw(expect_error expect_warn);
use My::Postgres;
use My::Server;
use Rt qw(answer ask caller_of wait_for);
use Test::More;

use constant ORG => 45;
my $within = 5 * My::Server::slowness();

expect_error('AH00052: child pid \d+ exit signal (?:Killed|Segmentation fault)');
expect_warn('AH10392: ');
my $pg = My::Postgres->new->start->migrate;
$ENV{TEST_PGHOST} = $pg->host;
make_org(ORG);
my $hooks = My::Hooks->new;
# no module with threads of its own that pass crash points
my $load = join '', grep { !/realtime/ } split /^/, My::Server::slurp("$ENV{TEST_STAGE}/load.conf");
my $httpd = My::Server->new('recall_crash', load => $load, dsn => $pg->host, lines => "IdempotencyRemember 8M\n", mpm => <<'CONF');
StartServers       4
MaxRequestWorkers  64
<IfModule !mpm_prefork_module>
MinSpareThreads    32
MaxSpareThreads    64
ThreadsPerChild    8
ServerLimit        12
</IfModule>
CONF
$httpd->start(env => $hooks->env);
$Rt::address = '127.0.0.1:' . $httpd->port;
my $coder = JSON::PP->new->canonical->utf8;
my $count = 0;
my %answered;       # key => body that a client got

# A key is its expense's amount.
sub send_key {
    my $key = shift;
    return ask('POST', '/v1/finance/expenses', $coder->encode(expense(ORG * 10 + 1, amountCents => 0 + $key)),
        Authorization => caller_of(org => ORG, user => ORG * 10 + 1, ttl => 30_000), 'Content-Type' => 'application/json',
        'Idempotency-Key' => $key, Connection => 'close');
}

sub keep {
    my ($key, $res) = @_;
    $answered{$key} = $res->{body} if $res && $res->{status} == 201;
    return $res;
}

sub replayed { my $res = shift; return $res && $res->{status} == 201 && $res->{head} =~ /^Idempotent-Replayed: true\r$/m }

# What others get while a process may hold a lock. One that died may have had their connection.
sub others_are_served {
    my ($what, $known) = @_;
    my %wire = map { $_ => send_key($_) } $known, map { ++$count } 1 .. 4;
    my @late;
    for my $key (sort keys %wire) {
        my $res = keep($key, answer($wire{$key}, $within) // answer(send_key($key), $within));
        push @late, "$key: " . ($res ? $res->{status} : 'none') unless $res && $res->{status} == 201;
    }
    return is "@late", '', "$what: others are served";
}

my $known = ++$count;
keep($known, answer(send_key($known)));
for my $signal (qw(KILL SEGV STOP)) {
    my $struck = 0;
    for my $nth (1 .. 200) {
        my $what = "SIG$signal at place $nth";
        my $key = ++$count;
        $hooks->arm($nth, $signal);
        my $wire = send_key($key);
        wait_for($within, sub { $hooks->struck || IO::Select->new($wire)->can_read(0) });
        my $victim = $hooks->struck;
        $hooks->disarm;
        $struck++ if $victim;
        keep($key, answer($wire, $within)) unless $victim;
        last unless $victim;
        others_are_served($what, $known);
        kill CONT => $victim if $signal eq 'STOP';
        my $res;
        ok wait_for(20, sub { replayed($res = answer(send_key($key), $within)) }), "$what: its key was committed, and is replayed"
            or diag explain $res;
        keep($key, $res);
        my @wrong = grep { (answer(send_key($_), $within) // { body => 'none' })->{body} ne $answered{$_} } sort keys %answered;
        is "@wrong", '', "$what: no answer is another one than before";
        %answered = map { $_ => $answered{$_} } $known, $key;
    }
    cmp_ok $struck, '>=', 10, "$struck places for SIG$signal";
}
is quick('SELECT count(*) FROM transactions'), quick('SELECT count(DISTINCT amount_cents) FROM transactions'), 'no key has an effect too many';
is quick('SELECT count(*) FROM transactions'), $count, 'and each has one';
$pg->stop('immediate');
expect_error('OG2200: ', 'OG2205: ');
is replayed(answer(send_key($known))), 1, 'what was remembered first still is, without the database';
my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
