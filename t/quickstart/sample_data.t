# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# The sample data: counts, shape, and the same data from the same arguments.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(source);
use Test::More;

my $dsn = "host=$ENV{TEST_PGHOST} user=test dbname=sample";

sub value {
    my $got = `psql -XAtq '$dsn' -c "$_[0]"`;
    die "psql: $_[0]\n" if $?;
    chomp $got;
    return $got;
}

system('createdb', '-h', $ENV{TEST_PGHOST}, '-U', 'test', 'sample') == 0 or die "createdb\n";
is system(source('build/migrate'), $dsn, source('conf/sql')), 0, 'an empty database is migrated';
is system(source('build/migrate'), $dsn, source('conf/sql')), 0, 'and once more, to no effect';

my $broken = "$ENV{TEST_STAGE}/broken-sql";
mkdir $broken or die "$broken: $!";
for my $file (['001_good.sql', 'CREATE TABLE made (id int);'], ['002_bad.sql', 'CREATE TABLE half (id int); CREATE TABLE 7;']) {
    open my $fh, '>', "$broken/$file->[0]" or die "$file->[0]: $!";
    print $fh "$file->[1]\n";
    close $fh;
}
my $said = `'@{[source('build/migrate')]}' '$dsn' '$broken' 2>&1`;
isnt $?, 0, 'a migration that fails is an error';
like $said, qr/^migrate: 002_bad failed: nothing of it was applied$/m, 'that says which';
is value("SELECT string_agg(relname, ',') FROM pg_class WHERE relname IN ('made', 'half')"), 'made', 'those before it stay, its own part does not';
system('psql', '-XAtq', $dsn, '-c', "DROP TABLE made; DELETE FROM orgscale_migrations WHERE name = '001_good'") == 0 or die "psql\n";

my $content = 'SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM transactions t';
my @sums;
for my $round (1, 2) {
    my $output = `'@{[source('build/sample-data')]}' '$dsn' --orgs 3 --until 2026-06-30 2>&1`;
    is $?, 0, "round $round loads" or diag $output;
    like $output, qr/3 organisations, 5475 transactions in \d+ s/, 'and says what it did';
    push @sums, value($content);
}
is $sums[0], $sums[1], 'the same arguments make the same data';

is value('SELECT count(*) FROM properties'), 15, '5 properties an organisation';
is value("SELECT string_agg(id::text, ',' ORDER BY id) FROM properties WHERE org_id = 2"), '6,7,8,9,10', 'with their ids';
is value("SELECT string_agg(id || role, ',' ORDER BY id) FROM users WHERE org_id = 2"), '6owner,7manager,8staff,9staff,10staff', 'and 5 users';
is value('SELECT count(*) FROM user_properties WHERE org_id = 2'), 6, 'granted what their roles say';
is value('SELECT count(*) FROM user_properties g JOIN properties p ON p.id = g.property_id JOIN users u ON u.id = g.user_id
          WHERE p.org_id <> g.org_id OR u.org_id <> g.org_id'), 0, 'all within their organisation';
is value('SELECT count(*) FROM transactions t JOIN properties p ON p.id = t.property_id JOIN users u ON u.id = t.created_by
          WHERE p.org_id <> t.org_id OR u.org_id <> t.org_id'), 0, 'as are transactions';
is value("SELECT min(business_date) || ' ' || max(business_date) FROM transactions"), '2025-07-01 2026-06-30', 'a year of them';
is value('SELECT count(*) FROM (SELECT FROM transactions GROUP BY property_id, business_date HAVING count(*) <> 1) x'), 0, 'one a property and day';
cmp_ok value("SELECT count(*) FROM transactions WHERE status = 'pending'"), '>', 0, 'some are pending';
is value("SELECT nextval('transactions_id_seq')"), 5476, 'new rows come behind them';
is value("SELECT count(*) FROM pg_indexes WHERE tablename = 'transactions'"), 4, 'with every index';
is value("SELECT count(*) FROM pg_class WHERE relname LIKE 'transactions_%' AND relkind = 'i' AND relowner <> 'orgscale_owner'::regrole"),
    0, 'that belongs to the owner';
done_testing;
