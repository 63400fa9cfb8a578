# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The dbd store (P§17, http-semantics.md 8): a key makes a write happen once, and its answer is
# replayed byte for byte.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use Apache::Test ();
use JSON::PP qw(decode_json);
use My::DB qw(make_org sql value wait_for);
use My::Finance qw(bearer expense post_expense);
use Test::More;

my $org = make_org(3031);
my ($owner, $manager) = map { bearer($org, $_) } 1, 2;
my $rows = sub { value("SELECT count(*) FROM transactions WHERE org_id = $org") };
my $code = sub { decode_json($_[0]->content)->{code} };

# replay
my $first = post_expense($owner, 'key-1', expense(30311));
is $first->code, 201, 'the first request makes a row';
is $first->header('Idempotent-Replayed'), undef, 'and is no replay';
my $again = post_expense($owner, 'key-1', expense(30311));
is $again->code, 201, 'the second is answered alike';
is $again->content, $first->content, 'byte for byte';
is $again->header('Location'), $first->header('Location'), 'with its Location';
is $again->header('Content-Type'), $first->header('Content-Type'), 'and type';
is $again->header('Idempotent-Replayed'), 'true', 'and says that it is a replay';
is $rows->(), 1, 'there is one row';
is value("SELECT count(*) FROM event_outbox WHERE org_id = $org"), 1, 'one event';
is value("SELECT count(*) FROM audit_log WHERE org_id = $org"), 1, 'and one deed';
is post_expense($owner, 'key-1', expense(30311), 'Content-Type' => 'application/json; charset=utf-8')->header('Idempotent-Replayed'),
    'true', 'a parameter of the media type makes no other request';

# another request under the same key
my $text = JSON::PP->new->canonical->encode(expense(30311));
for my $other (expense(30311, amountCents => 1), $text =~ s/,/, /r, "$text ") {
    my $got = post_expense($owner, 'key-1', $other);
    is $got->code, 409, 'another body under the key is refused';
    is $code->($got), 'idempotency_key_reused', 'by its code';
}
is $rows->(), 1, 'and makes nothing';

# scope
is post_expense($manager, 'key-1', expense(30311))->header('Idempotent-Replayed'), undef, "another user's key is another key";
my $other_org = make_org(3032);
is post_expense(bearer($other_org, 1), 'key-1', expense(30321))->code, 201, "so is another organisation's";
is $rows->(), 2, 'two rows by now';

# syntax
my $missing = post_expense($owner, undef, expense(30311));
is $missing->code, 400, 'a write without a key is refused';
is $code->($missing), 'idempotency_key_required', 'by its code';
for my $key ('', ' ', 'a b', "caf\xc3\xa9", 'x' x 256, "a\tb") {
    my $got = post_expense($owner, $key, expense(30311));
    is $got->code, 400, 'a malformed key is refused';
    like $code->($got), qr/^idempotency_key_(?:invalid|required)$/, 'by its code';
}
for my $key ('x' x 255, q{"quoted"}, q{a'b--}, 'a:b:c', '%00', '!~') {
    is post_expense($owner, $key, expense(30311))->code, 201, 'any visible ASCII is a key';
}

# what is stored: 404 and 422 are, 400 and 403 are not
my $bad = post_expense($owner, 'key-422', expense(30311, amountCents => 0));
is $bad->code, 422, 'an expense that is refused';
my $bad_again = post_expense($owner, 'key-422', expense(30311, amountCents => 0));
is $bad_again->content, $bad->content, 'is refused again, byte for byte';
is $bad_again->header('Content-Type'), 'application/problem+json', 'as a problem';
is $bad_again->header('Idempotent-Replayed'), 'true', 'from the store';
is $code->(post_expense($owner, 'key-422', expense(30311))), 'idempotency_key_reused', 'its key is used up';
is post_expense($owner, 'key-404', expense(1))->code, 404, 'a property that does not exist';
is post_expense($owner, 'key-404', expense(1))->header('Idempotent-Replayed'), 'true', 'is stored too';
is post_expense($owner, 'key-400', '{')->code, 400, 'a body that is no JSON';
is post_expense($owner, 'key-400', expense(30311))->code, 201, 'leaves the key free';
is post_expense($manager, 'key-403', expense(30313))->code, 403, 'a property that was not granted';
my $granted = My::Token::bearer(org => $org, user => 30_312, role => 'manager', properties => [30_313]);
is post_expense($granted, 'key-403', expense(30313))->code, 201, 'leaves it free as well';

# still running: a session of the test's holds the key's lock
my $held = "SELECT pg_advisory_xact_lock(hashtextextended('idempotency $org ' || ($org * 10 + 1) || ' key-busy', 0))";
my $pid = open my $holder, '|-', 'psql', '-XAtq', My::DB::dsn() or die "psql: $!";
$holder->autoflush;
print $holder "BEGIN;\n$held;\n";
ok wait_for(10, sub { value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") }), 'another request holds the key';
my $busy = post_expense($owner, 'key-busy', expense(30311));
is $busy->code, 409, 'a second one is not made to wait';
is $code->($busy), 'idempotency_in_progress', 'but told why';
is $busy->header('Retry-After'), 1, 'and when to come again';
print $holder "COMMIT;\n";
close $holder;
is post_expense($owner, 'key-busy', expense(30311))->code, 201, 'once it is free the key works';

# 24 hours
sql("UPDATE idempotency_keys SET created_at = now() - interval '23 hours 59 minutes' WHERE org_id = $org AND key = 'key-1'");
is post_expense($owner, 'key-1', expense(30311))->header('Idempotent-Replayed'), 'true', 'a key lives for a day';
sql("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 minute' WHERE org_id = $org AND key = 'key-1'");
my $late = post_expense($owner, 'key-1', expense(30311, amountCents => 7));
is $late->code, 201, 'and may then be used for another request';
is $late->header('Idempotent-Replayed'), undef, 'which is fresh';
is post_expense($owner, 'key-1', expense(30311, amountCents => 7))->content, $late->content, 'and stored in its turn';

# 20 at once under one key, from as many processes
my $before = $rows->();
my (@pids, %answer);
for my $n (1 .. 20) {
    my $child = fork // die "fork: $!";
    if (!$child) {
        my $got = post_expense($owner, 'key-race', expense(30312));
        open my $fh, '>', "$ENV{TEST_STAGE}/race.$n" or die $!;
        print $fh $got->code, ' ', $got->code == 201 ? $got->content : '';
        close $fh;
        require POSIX;
        POSIX::_exit(0);
    }
    push @pids, $child;
}
waitpid $_, 0 for @pids;
for my $n (1 .. 20) {
    open my $fh, '<', "$ENV{TEST_STAGE}/race.$n" or die $!;
    $answer{<$fh>}++;
}
is $rows->() - $before, 1, '20 requests at once under one key make one row';
my @kinds = grep { !/^409/ } keys %answer;
is scalar @kinds, 1, 'those that are not told to come again get the same answer' or diag explain \%answer;
like $kinds[0], qr/^201 \{/, 'that of the one';
done_testing;
