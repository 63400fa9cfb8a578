# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# mod_finance behind the cache: lists come from it until an expense is written that they would show, and no
# longer than that.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Apache::TestRequest ();
use Edge qw(faces status_of unzip);
use Http qw(port_of request);
use JSON::PP qw(decode_json);
use My::DB qw(make_org sql value wait_for);
use My::Finance qw(bearer expense post_expense);
use Test::More;

my ($org, $elsewhere) = map { make_org($_) } 4101, 4102;
my ($owner, $manager, $staff) = map { bearer($org, $_) } 1 .. 3;
my ($p1, $p2) = map { $org * 10 + $_ } 1, 2;
my $key = 0;

sub get { my ($what, $who, @fields) = @_; return request(port_of('edge_finance'), "GET $what", Authorization => $who, @fields) }
sub ids { return join ',', map { $_->{id} } @{ decode_json(unzip(shift))->{data} } }
sub book {
    my ($property, $who) = @_;
    my $res = post_expense($who // $owner, 'edge-finance-' . $org . '-' . ++$key, expense($property));
    $res->code == 201 or die $res->as_string;
    return decode_json($res->content)->{id};
}

my $first = book($p1);
my $list = "/v1/finance/expenses?propertyId=$p1";
my $res = get($list, $owner);
is status_of($res), 'fwd=uri-miss; stored', 'a list is asked for';
is ids($res), $first, 'with what there is';
is faces($res), 'public, max-age=60, s-maxage=300, stale-while-revalidate=60', 'as an edge may keep it';
is $res->{header}{'surrogate-key'}, "finance:expenses:property:$p1 org:$org", 'under its tags';
is status_of(get($list, $owner)), 'hit', 'and kept';
is get($list, $owner, 'If-None-Match' => $res->{header}{etag})->{status}, 304, 'a 304 needs no database';
is status_of(get("/finance/expenses?propertyId=$p1", $owner)), 'fwd=uri-miss; stored', 'without /v1 is another entry';

my %list = (all => '/v1/finance/expenses', one => $list, two => "/v1/finance/expenses?propertyId=$p2",
    both => "/v1/finance/expenses?propertyId=$p1,$p2", row => "/v1/finance/expenses/$first");
my %who = (owner => $owner, manager => $manager);
sub states { return join ' ', map { my $who = $_; map { "$who:$_:" . status_of(get($list{$_}, $who{$who})) =~ s/;.*//r } sort keys %list } sort keys %who }
states();
is states() =~ s/\w+:\w+:hit ?//gr, '', 'all is kept';
my $second = book($p2, $manager);
is states(), join(' ', map { my $who = $_; map { "$who:$_:" . ($_ eq 'one' ? 'hit' : 'fwd=stale') } sort keys %list } sort keys %who),
    'an expense outdates what shows its property, and nothing else';
is ids(get($list{two}, $owner)), $second, 'which shows it';
is ids(get($list{all}, $owner)), "$second,$first", 'everywhere';
is ids(get($list{all}, $staff)), $first, 'but to whom it may be shown';
is ids(get($list{one}, $owner)), $first, 'elsewhere nothing changed';

my $other = bearer($elsewhere, 1);
is ids(get('/v1/finance/expenses', $other)), '', 'another organisation has none';
book($p1);
is status_of(get('/v1/finance/expenses', $other)), 'hit', 'and keeps that';
is get($list, $other)->{status}, 404, 'nor sees it under its own key';

# read your own write, again and again
for (1 .. 20) {
    my $id = book($p1);
    my ($newest) = split /,/, ids(get($list, $owner));
    is $newest, $id, 'who wrote reads it at once';
}
# a replay writes nothing
get($list, $owner);
post_expense($owner, "edge-finance-$org-$key", expense($p1));
is status_of(get($list, $owner)), 'hit', 'a replay outdates nothing';
# nor does a refusal
post_expense($owner, "edge-finance-$org-x", expense($p1, amountCents => -1));
is status_of(get($list, $owner)), 'hit', 'nor does a refusal';

# a child that died behind its commit leaves the rows of its write: the relay outdates what would show it
states();
is status_of(get($list{$_}, $owner)), 'hit', "$_ is kept" for qw(one two);
sql(<<"SQL");
INSERT INTO transactions (org_id, property_id, type, category, description, amount_cents, payment_mode, occurred_at, business_date, created_by)
    VALUES ($org, $p1, 'expense', 'food', 'left behind', 77777, 'cash', now(), current_date, ${org}1)
SQL
sub shows { return unzip(get($list{one}, $owner)) =~ /\b77777\b/ }
ok !shows(), 'a row that nobody told of is not shown';
sql(<<"SQL");
INSERT INTO event_outbox (org_id, property_id, domain, type, event_id, coalesce_key, data)
    VALUES ($org, $p1, 'finance', 'expense.created', 'EDGELEFTBEHIND', 'expense:1', '{"id":1}');
INSERT INTO purge_outbox (org_id, keys) VALUES ($org, '{finance:expenses:property:$p1,finance:expenses:org:$org}')
SQL
ok wait_for(30, \&shows), 'until the relay finds the keys and the event of its write';
is status_of(get($list{two}, $owner)), 'hit', 'a list of another property stays';
ok wait_for(10, sub { value("SELECT published_at IS NOT NULL FROM event_outbox WHERE event_id = 'EDGELEFTBEHIND'") eq 't' }), 'its event is published';

# spellings that are no route are none from a cache either (B18)
for my $path ("/v1/finance//expenses?propertyId=$p1", "/v1/finance/./expenses?propertyId=$p1", "/v1/finance/%65xpenses?propertyId=$p1",
    "/v1/finance/expenses/x.css?propertyId=$p1", "/v1/finance/expenses;x.css?propertyId=$p1", 
    "/v1/finance/expenses/?propertyId=$p1", "/v1/finance/expenses%3f?propertyId=$p1", "/v1/finance/expenses.?propertyId=$p1") {
    my $res = get($path, $owner);
    is "$res->{status} " . faces($res), '404 no-store', "$path is not there";
}
done_testing;
