# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::DB;

# The suite's database as its superuser sees it, and organisations to test with.

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use IPC::Open2 qw(open2);
our @EXPORT_OK = qw(make_org quick sql value wait_for);

sub dsn {
    my $user = shift // 'test';
    return "host=$ENV{TEST_PGHOST} user=$user dbname=orgscale";
}

# Rows of a statement, each a reference to its columns as text. For statements that a test wrote:
# nothing here is quoted.
sub sql {
    my ($statement, $user) = @_;
    local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
    open my $psql, '-|', 'psql', '-XAtq', '-F', "\x1f", '-v', 'ON_ERROR_STOP=1', dsn($user), '-c', $statement
        or die "psql: $!";
    chomp(my @rows = <$psql>);
    close $psql or die "psql failed: $statement\n";
    return map { [split /\x1f/, $_, -1] } @rows;
}

sub value {
    my @rows = sql(@_);
    return @rows ? $rows[0][0] : undef;
}

# The value of a statement, or of the last of several, through one psql that stays: for those who ask
# often. One a process: a child does not share its parent's.
my ($to_psql, $from_psql, $asked);
sub quick {
    my $statement = shift;
    if (($asked // '') ne "$$ " . dsn()) {
        local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
        open2($from_psql, $to_psql, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', dsn());
        $asked = "$$ " . dsn();
    }
    syswrite $to_psql, "$statement;\n\\echo =\n" or die "psql: $!";
    my $value;
    while (defined(my $line = <$from_psql>)) {
        chomp $line;
        return $value if $line eq '=';
        $value = $line;
    }
    die "psql failed: $statement\n";
}

# An organisation of its own with 3 properties and 3 users (owner, manager of the first two, staff
# of the first): properties and users both get the ids org*10+1 … org*10+3.
sub make_org {
    my $org = shift;
    sql(<<"SQL");
INSERT INTO orgs (id, name) VALUES ($org, 'Org $org');
INSERT INTO properties (id, org_id, name) SELECT $org * 10 + n, $org, 'Property ' || n FROM generate_series(1, 3) n;
INSERT INTO users (id, org_id, name, role)
    SELECT $org * 10 + n, $org, 'User ' || n, (ARRAY['owner', 'manager', 'staff'])[n] FROM generate_series(1, 3) n;
INSERT INTO user_properties (org_id, user_id, property_id)
    VALUES ($org, $org * 10 + 2, $org * 10 + 1), ($org, $org * 10 + 2, $org * 10 + 2), ($org, $org * 10 + 3, $org * 10 + 1);
SQL
    return $org;
}

# True as soon as the code is, within so many seconds.
sub wait_for {
    my ($seconds, $code) = @_;
    for (1 .. $seconds * 50) {
        my $got = $code->();
        return $got if $got;
        select undef, undef, undef, 0.02;
    }
    return $code->();
}

1;
