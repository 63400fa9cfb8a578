# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# 50 requests at once under each of 40 keys (B43): one row each, and all that are answered for good
# are answered alike, byte for byte. Others under the same keys at the same time, by other users,
# with other bodies, make no difference to them.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use JSON::PP ();
use My::DB qw(make_org quick);
use My::Finance qw(bearer expense);
use My::Wire;
use Rows;
use Test::More;

use constant { AT_ONCE => 50, KEYS => 40 };
my ($org, $other) = (make_org(9351), make_org(9352));
my ($owner, $manager, $stranger) = (bearer($org, 1), bearer($org, 2), bearer($other, 1));
my $coder = JSON::PP->new->canonical->utf8;
my $port = Rows::port_of('main');

sub message {
    my ($token, $key, $body) = @_;
    return "POST /v1/finance/expenses HTTP/1.1\r\nHost: localhost\r\nAuthorization: $token\r\n"
        . "Content-Type: application/json\r\nIdempotency-Key: $key\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

# Connections that stay: those that ended are replaced.
my @wires;
sub wires {
    my $n = shift;
    $_ //= My::Wire->new($port) for @wires[0 .. $n - 1];
    return @wires[0 .. $n - 1];
}

# All at once; the answers in their order.
sub together {
    my @messages = @_;
    my @on = wires(scalar @messages);
    $on[$_]->send($messages[$_]) for 0 .. $#messages;
    my @answers = map { $_->answer || die 'no answer' } @on;
    $answers[$_]{keep} or undef $wires[$_] for 0 .. $#answers;
    return @answers;
}

# An answer that is final: the others are told to come again.
sub final {
    my $answer = shift;
    return $answer->{status} == 409 && $answer->{body} =~ /"idempotency_in_progress"/ ? '' : $answer->{status} == 503 ? '' : 1;
}

# Without what is the moment's or the connection's, and whether it was the first
sub bytes {
    my $answer = shift;
    return $answer->{raw} =~ s/^(?:Date|X-Request-Id|Idempotent-Replayed|Keep-Alive|Connection|Upgrade): [^\r]*\r\n//gmr;
}

# Repeats what is not answered for good until all is; how many answers said that they are the first.
sub settle {
    my ($wrong, @messages) = @_;
    my ($first, @final) = (0);
    for (1 .. 200) {
        my @left = grep { !$final[$_] } 0 .. $#messages;
        last if !@left;
        my @answers = together(@messages[@left]);
        for my $i (0 .. $#left) {
            my $answer = $answers[$i];
            if (final($answer)) {
                $final[ $left[$i] ] = bytes($answer);
                $first += $answer->{status} == 201 && $answer->{head} !~ /^Idempotent-Replayed: true\r$/m;
            }
            elsif ($answer->{head} !~ /^Retry-After: \d+\r$/m) {
                push @$wrong, "$answer->{status} without Retry-After";
            }
        }
        select undef, undef, undef, 0.01;
    }
    return ($first, @final);
}

my $rows = sub { quick("SELECT count(*) FROM transactions WHERE org_id = $_[0]") };
my @wrong;
for my $key (1 .. KEYS) {
    my $message = message($owner, "parallel-$key", $coder->encode(expense($org * 10 + 1, amountCents => $key)));
    my ($first, @final) = settle(\@wrong, ($message) x AT_ONCE);
    my %kinds = map { ($_ // 'none') => 1 } @final;
    push @wrong, map { "key $key, one of several answers: $_" } sort keys %kinds if keys %kinds != 1;
    push @wrong, "key $key: " . substr((keys %kinds)[0], 0, 40) if (keys %kinds)[0] !~ /^HTTP\/1\.1 201 /;
    push @wrong, "key $key: $first were the first" if $first > 1;
}
is_deeply \@wrong, [], AT_ONCE . ' at once under each of ' . KEYS . ' keys are answered alike' or diag explain \@wrong;
@wrong = ();
is $rows->($org), KEYS, 'a row each';
for my $table (qw(event_outbox purge_outbox audit_log idempotency_keys)) {
    is quick("SELECT count(*) FROM $table WHERE org_id = $org"), KEYS, "and one in $table";
}

# One key, five requests ten times each: two bodies of one user, another user, another organisation,
# a refusal. Of the bodies of one user one wins, the rest of them is refused for good.
my %won;
for my $round (1 .. 5) {
    my $key = "mixed-$round";
    my @kinds = (['a', $owner, expense($org * 10 + 1)], ['b', $owner, expense($org * 10 + 1, amountCents => 2)],
        ['c', $owner, expense($org * 10 + 1, amountCents => 0)], ['d', $manager, expense($org * 10 + 1)],
        ['e', $stranger, expense($other * 10 + 1)]);
    my @messages = (map { message($_->[1], $key, $coder->encode($_->[2])) } @kinds) x 10;
    my (undef, @final) = settle(\@wrong, @messages);
    my %status;
    $status{ $kinds[$_ % 5][0] }{ ($final[$_] // '') =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'none' }++ for 0 .. $#final;
    my @of_owner = map { join ',', sort keys %{ $status{$_} } } qw(a b c);
    push @wrong, "round $round: @of_owner" if "@of_owner" !~ /^(?:201 409 409|409 201 409|409 409 422)$/;
    push @wrong, "round $round: others" if join(' ', map { keys %{ $status{$_} } } qw(d e)) ne '201 201';
    $won{"@of_owner"}++;
}
is_deeply \@wrong, [], 'requests of several kinds under one key: one kind of a user wins, other users have their own';
my $refused = $won{'409 409 422'} // 0;
is $rows->($org), KEYS + 2 * 5 - $refused, 'a row for each user' or diag explain \%won;
is $rows->($other), 5, 'and one for the other organisation';
done_testing;
