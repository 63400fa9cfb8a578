# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# A replay costs its caller nothing (decisions.md 24): what the request was charged is given back, and
# its answer says nothing of limits, whoever has the key: mod_idempotency in front of a backend or of a
# file, or mod_finance. A refusal of the key is an answer like others, and charged.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/quota", $FindBin::Bin;
use Apache::Test ();
use Idem qw(caller_of field h2 has_h2 key post site);
use JSON::PP ();
use My::DB qw(make_org value);
use My::Finance qw(expense);
use Quota qw(counts);
use Test::More;

my $stage = $ENV{TEST_STAGE};
my $limits = "QuotaEnable On\nQuotaPolicy write user 5/h\nQuotaPolicy write org 100/h\n";
my ($httpd, $backend) = site('idem_charge', dsn => $ENV{TEST_PGHOST}, locations => {
    '/api/' => "Idempotency required\n$limits",
    '/file/' => "Idempotency required\nProxyPass !\n$limits",
}, realtime => 1, lines => <<"CONF");
FinanceEventDomain rt_a
Alias /file $stage/t/tenant/docs
<LocationMatch "^/v1/finance/">
    $limits
</LocationMatch>
<Location /server-status>
    SetHandler server-status
</Location>
CONF
$Quota::port = $httpd->port;

# What an answer says is left, or that it says nothing of limits
sub left {
    my $answer = shift;
    my $all = join ' ', sort $answer->{head} =~ /^((?:X-)?RateLimit[\w-]*):/gmi;
    return 'nothing' if $all eq '';
    return "only $all" if lc $all ne 'ratelimit ratelimit-policy x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset';
    my ($r) = field($answer, 'RateLimit') =~ /;r=(\d+);/;
    return $r == field($answer, 'X-RateLimit-Remaining') ? $r : 'they differ';
}

sub seen { my $answer = shift; return join ' ', @$answer{qw(status replayed)}, left($answer) }

my $org = make_org(7170);
my $expense = JSON::PP->new->canonical->encode(expense($org * 10 + 1));
my $user = 0;
for my $case (['a backend', '/api/a', '{}', 201], ['a file', '/file/page.html', '{}', 200],
    ['mod_finance', '/v1/finance/expenses', $expense, 201]) {
    my ($what, $path, $body, $status) = @$case;
    # limits are by user: mod_finance's are users of the database, the others of nobody's
    my $caller = caller_of(org => $org, user => $org * 10 + ++$user);
    my $send = sub { post($path, $caller, @_ > 1 ? @_ : ($_[0], $body)) };
    my ($key, $was) = (key('charge'), counts());
    is seen($send->($key)), "$status 0 4", "$what: the first request is charged";
    is seen($send->($key)), "$status 1 nothing", "$what: its replay says nothing of limits" for 1 .. 7;
    is counts()->{GivenBack} - $was->{GivenBack}, 7, "$what: each was given back";
    if (has_h2()) {
        is seen(h2($path, $caller, $key, $body)), "$status 1 nothing", "$what: over HTTP/2 as well";
    }
    is seen($send->(key('charge'))), "$status 0 3", "$what: the next request finds the bucket as it was";
    is seen($send->($key, "$body ")), '409 0 2', "$what: a key that is refused is charged";
    is seen($send->('a b')), '400 0 1', "$what: and so is what is no key";
    is seen($send->(key('charge'))), "$status 0 0", "$what: the last one";
    is $send->($key)->{status}, 429, "$what: who has nothing left has nothing to be given back";
}
is value("SELECT count(*) FROM transactions WHERE org_id = $org"), 3, 'mod_finance: three expenses';

# refusals that are stored are replays, too
my $manager = caller_of(org => 71, user => 712);
my $key = key('charge');
is seen(post('/api/a', $manager, $key, '{}', 'X-Do' => 'status=422')), '422 0 4', 'a refusal by the backend';
is seen(post('/api/a', $manager, $key, '{}')), '422 1 nothing', 'costs once';
# what is not stored is asked anew
$key = key('charge');
is seen(post('/api/a', $manager, $key, '{}', 'X-Do' => 'status=503')), '503 0 3', 'an error';
is seen(post('/api/a', $manager, $key, '{}')), '201 0 2', 'is no replay';
# nor is an answer that was too large to keep
is seen(post('/api/a', $manager, $key, '{}')), '201 1 nothing', 'until it is one';

my ($status) = $httpd->stop;
is $status, 0, 'the server stops as it should';
done_testing;
