# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Of buffered events with one coalesceKey a reply has the newest, among those that its caller may see
# and asked for.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use Rt qw(answer caller_of event ids json_of metrics poll publish subscribe wait_for waiters);
use Test::More;

my $org = 5701;
my $owner = caller_of(org => $org);
my $staff = caller_of(org => $org, user => 2, role => 'staff', properties => [7]);
my $admin = caller_of(org => $org, role => 'admin');

sub at { return subscribe('a', $owner, 'wait=0')->{cursor} }

# "a1=k" is event a1 of coalesceKey k; "=k\@7" of property 7, "a2:revenue.x" of another type
sub put {
    my @events = map {
        my ($id, $type, $key, $property) = /^(\w+)(?::([\w.]+))?(?:=(\w+))?(?:\@(\d+))?$/ or die $_;
        event($org, eventId => $id, type => $type // 'expense.updated', coalesceKey => $key, propertyId => $property && $property + 0);
    } @_;
    publish('a', \@events)->{status} == 202 or die 'publish';
    return;
}

my $start = at();
put(qw(a1=k b1=l a2=k n1 n2 a3=k));
is ids(subscribe('a', $owner, "wait=0&cursor=$start")), 'b1 n1 n2 a3', 'of each coalesceKey the newest comes, where it stands';
is ids(subscribe('plain', $owner, "wait=0&cursor=$start")), 'a1 b1 a2 n1 n2 a3', 'RealtimeCoalesce Off sends all of them';

# pages: a limit is of what is sent, and the cursor is behind all that was looked at
my $page = subscribe('a', $owner, "wait=0&limit=2&cursor=$start");
is ids($page), 'b1 a2', 'a page of two has what is newest in it';
ok $page->{more}, 'and there is more';
$page = subscribe('a', $owner, "wait=0&limit=2&cursor=$page->{cursor}");
is ids($page), 'n1 n2', 'the next goes on behind it';
$page = subscribe('a', $owner, "wait=0&limit=2&cursor=$page->{cursor}");
is ids($page), 'a3', 'a later page has what is newer';
ok !$page->{more}, 'and is the last';

# who may not see the newest, or did not ask for it, is sent the newest that is theirs
$start = at();
put('p7=k@7', 'p8=k@8');
is ids(subscribe('a', $owner, "wait=0&cursor=$start")), 'p8', 'an owner gets the newest';
is ids(subscribe('a', $staff, "wait=0&cursor=$start")), 'p7', 'it hides nothing from those who may not see it';
is ids(subscribe('a', $owner, "wait=0&propertyId=7&cursor=$start")), 'p7', 'nor from those who asked for another property';
$start = at();
put('t1:expense.x=k', 't2:revenue.x=k');
is ids(subscribe('a', $owner, "wait=0&types=expense.*&cursor=$start")), 't1', 'nor from those who asked for another type';

# what a poll gathers while it lingers is one reply as well
$start = at();
my $parked = poll('a', $owner, "wait=20&linger=1500&cursor=$start");
ok wait_for(5, sub { waiters($org) == 1 }), 'a poll is parked';
put('l1=k');
put('l2=m');
put('l3=k');
my $before = metrics('a', $admin)->{totals};
is ids(json_of(answer($parked))), 'l2 l3', 'what came while it lingered supersedes as well';
my $after = metrics('a', $admin)->{totals};
is $after->{superseded} - $before->{superseded}, 1, 'an event that was not sent is counted as superseded';
is $after->{delivered} - $before->{delivered}, 2, 'and not as delivered';
done_testing;
