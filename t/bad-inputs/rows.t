# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Every row of t/bad-inputs/*.jsonl is answered as it says, and the next request is served; then no
# child died, no log has a line that nobody expects or a record of more than a line, and none a token.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Logs;
use My::DB qw(make_org sql);
use My::Log qw(expect_error);
use Rows;
use Test::More;

sub children {
    open my $fh, '<', "$ENV{TEST_STAGE}/t/logs/httpd.pid" or die "httpd.pid: $!";
    my $parent = <$fh> + 0;
    open my $ps, '-|', 'ps', '-o', 'pid=', '--ppid', $parent or die "ps: $!";
    return join ' ', sort map { $_ + 0 } <$ps>;
}

# two organisations whose rows say whose they are
for my $org (make_org(9101), make_org(9102)) {
    sql(<<"SQL");
INSERT INTO transactions (org_id, property_id, type, category, description, amount_cents, payment_mode, occurred_at, business_date, created_by)
SELECT $org, $org * 10 + 1, 'expense', 'food', 'canary-$org', 100, 'cash', now() + interval '1 day', now()::date, $org * 10 + 1
SQL
}
for my $file (sort glob "$FindBin::Bin/*.jsonl") {
    my ($name) = $file =~ m{([^/]+)\.jsonl$};
    my @rows = Rows::load($file);
    my ($mark, $children) = (Logs::mark(), children());
    expect_error(map { $_->{logged} // () } @rows);
    my %begun = map { $_->{id} => Rows::start($_) } grep { $_->{beside} } @rows;
    my %seen;
    for my $row (@rows) {
        my $before = Logs::mark();
        my @bad = $row->{beside} ? Rows::finish($row, $begun{ $row->{id} }) : Rows::run($row);
        push @bad, 'the id is used twice' if $seen{ $row->{id} }++;
        push @bad, "no line of the log matches $row->{logged}"
            if $row->{logged} && Logs::errors($before) !~ /$row->{logged}/;
        ok !@bad, "$name: $row->{id}" or diag join("\n", @bad), "\n", substr $row->{raw} // '', 0, 600;
    }
    is children(), $children, "$name: no child died" if ($ENV{TEST_MPM} || 'event') eq 'event';
    is_deeply [Logs::unexpected($mark, map { $_->{logged} // () } @rows)], [], "$name: the error log has no line that is not expected";
    is_deeply [Logs::broken($mark)], [], "$name: each record of each log is one line of plain text";
    is_deeply [Logs::leaked($mark, Rows::used())], [], "$name: no log has a token";
}
done_testing;
