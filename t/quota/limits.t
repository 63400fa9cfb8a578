# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Who is charged what, what the headers say, and how a refusal looks (http-semantics.md 7, P§16).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Http qw(h2 has_h2 port_of problem);
use My::Log qw(log_mark log_since);
use Quota qw(ask caller_of counts fields limits port statuses);
use Test::More;
use Time::HiRes qw(time);

my $org = 7100;
my $all = 'ratelimit ratelimit-policy x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset';
# defaults
my $res = ask('POST /limits/page.html', by => [++$org, 1]);
is $res->{status}, 200, 'a write';
is $res->{header}{'ratelimit-policy'}, '"write-user";q=100;w=60, "write-org";q=500;w=60', 'is charged by the playbook\'s policies';
is limits($res), 'write-user 100 99', 'and says so';
is fields($res), $all, 'in all headers';
is $res->{header}{ratelimit}, '"write-user";r=99;t=1', 'with the time to the next one';
my $reset = $res->{header}{'x-ratelimit-reset'};
ok $reset >= time && $reset <= time + 3, 'and when the bucket is full again: nearly now';
$res = ask('GET /limits/page.html', by => [$org, 1]);
is $res->{status}, 200, 'a read';
is $res->{header}{'ratelimit-policy'}, '"read-user";q=300;w=60', 'has another policy';
is limits($res), 'read-user 300 299', 'and bucket';
is limits(ask('HEAD /limits/page.html', by => [$org, 1])), 'read-user 300 298', 'HEAD is a read';
is limits(ask("$_ /limits/page.html", by => [$org, 1])) =~ s/ \d+$//r, 'write-user 100', "$_ is a write" for qw(PUT PATCH DELETE);
is limits(ask('GET /limits/none', by => [$org, 1])), 'read-user 300 297', 'an error page is charged once';
is limits(ask('GET /limits/page.html', by => [$org, 2])), 'read-user 300 299', 'another user has his own';
is limits(ask('GET /limits/page.html', by => [++$org, 1])), 'read-user 300 299', 'and the same number in another organisation, too';

# pages of other origins
$res = ask('OPTIONS /limits/page.html', Origin => 'https://app.test', 'Access-Control-Request-Method' => 'POST');
is "$res->{status} " . fields($res), '204 ', 'a preflight is not charged';
$res = ask('GET /limits/page.html', by => [$org, 1], Origin => 'https://app.test');
my %exposed = map { lc() => 1 } split /, /, $res->{header}{'access-control-expose-headers'} // '';
is join(' ', grep { !$exposed{$_} } split(' ', $all), 'retry-after'), '', 'and its page may read what is left';

# named policies
is_deeply [map { limits(ask('POST /named/x', by => [++$org, 1])) } 1], ['write-user 4 3'], 'what is named holds';
is statuses(3, 'POST /named/x', by => [$org, 1]), '404 404 404', 'four may come at once';
my $before = time;
$res = ask('POST /named/x', by => [$org, 1]);
my $body = problem($res);
my $after = $body->{details}{retryAfter};
is $res->{status}, 429, 'the fifth is refused';
is $res->{line}, 'HTTP/1.1 429 Too Many Requests', 'by its name';
is $res->{header}{'content-type'}, 'application/problem+json', 'as a problem';
ok $after >= 1 && $after <= 15, "which says when to come back: $after s";
is $res->{header}{'retry-after'}, $after, 'as Retry-After does';
my $sentence = "Rate limit exceeded. Please retry after $after seconds.";
delete $body->{instance};
is_deeply $body, { type => '/problems/rate_limit_exceeded', title => 'Too Many Requests', status => 429, detail => $sentence,
    code => 'rate_limit_exceeded', message => $sentence,
    details => { retryAfter => $after, limitType => 'WRITE_USER', remaining => 0 } }, 'in the form of P§16.2';
is fields($res), "ratelimit ratelimit-policy retry-after x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset", 'with all headers';
is limits($res), 'write-user 4 0', 'that say nothing is left';
like $res->{header}{ratelimit}, qr/;t=$after$/, 'until then';
cmp_ok $res->{header}{'x-ratelimit-reset'}, '<=', time + 61, 'and full in a minute';
cmp_ok $res->{header}{'x-ratelimit-reset'}, '>=', $before + 40, 'not much earlier';
is $res->{header}{'cache-control'}, 'no-store', 'never to be stored';
is limits(ask('GET /named/page.html', by => [$org, 1])), 'read-user 5 2', 'reads go on; a burst below the limit is what is left';
is limits(ask('POST /named/x', by => [$org, 2])), 'write-org 6 1', 'the tightest policy is the one that is told';
is statuses(3, 'POST /named/x', by => [$org, 2]), '404 429 429', 'an organisation\'s bucket is that of all its users';
is problem(ask('POST /named/x', by => [$org, 3]))->{details}{limitType}, 'WRITE_ORG', 'and says so';
is limits(ask('POST /named/x', by => [$org, 3])), 'write-org 6 0', 'what was refused was charged nowhere';
is ask('POST /named/inner/x', by => [$org, 4])->{header}{'ratelimit-policy'}, '"write-user";q=2;w=60', 'a location has its own rates, and may turn one off';
is statuses(2, 'POST /named/inner/x', by => [$org, 4]), '404 429', 'which are buckets of their own';

# classes
$org++;
is statuses(2, 'POST /signs/a.sign', by => [$org, 1]), '404 429', 'a location that signs is charged as that';
is problem(ask('GET /signs/a.sign', by => [$org, 1]))->{details}{limitType}, 'SIGN_USER', 'whatever the method';
is statuses(3, 'POST /signs/a', by => [$org, 1]), '404 404 429', 'beside it it is not';
is statuses(4, 'GET /signs/page.html', by => [$org, 1]), '200 200 200 429', 'nor read';

# not charged
is fields(ask("$_->[0]", by => [$org, 1])), '', "$_->[1]" for
    ['OPTIONS /named/x', 'OPTIONS is not charged'], ['GET /off/page.html', 'nor where it is off'],
    ['POST /none/x', 'nor a write of no class'], ['GET /none/page.html', 'nor a read of none'];
is fields(ask('POST /named/x')), '', 'nor who is refused before: no token';
is ask('POST /named/x')->{status}, 401, 'which is 401';
is statuses(3, 'POST /none/x', by => [$org, 1]), '404 404 404', 'no class has no limits';

# dry run
$org++;
my $mark = log_mark();
my $was = counts();
is statuses(4, 'POST /dry/x', by => [$org, 1]), '404 404 404 404', 'a dry run refuses nobody';
$res = ask('POST /dry/x', by => [$org, 1]);
is limits($res), 'write-user 2 0', 'and says what it would';
ok !exists $res->{header}{'retry-after'}, 'but not to come back later';
is counts()->{DryRun} - $was->{DryRun}, 3, 'it is counted';
like log_since($mark), qr/OG1109: user:$org:1 would be refused by write-user for \d+ s \(QuotaDryRun\)/, 'and logged';
open my $fh, '<', "$ENV{TEST_STAGE}/t/logs/quota_log" or die $!;
my @notes = map { m{^POST /dry/x 404 (.*)$} ? $1 : () } <$fh>;
is "@notes", join(' ', ('quota=allowed') x 2, ('quota=dry-run write-user') x 3), 'as the note for logs';
like log_since($mark), qr/OG1108|OG1109/, 'refusals are in the log';

# anonymous callers, by network
is limits(ask('GET /anyone/page.html', from => '127.0.9.1')), 'read-address 4 3', 'who is nobody is charged by his network';
is limits(ask('GET /anyone/page.html', from => '127.0.9.250')), 'read-address 4 2', 'whatever his address there';
is limits(ask('GET /anyone/page.html', from => '127.0.10.1')), 'read-address 4 3', 'and not that beside it';
is statuses(4, 'POST /anyone/x', from => '127.0.9.1'), '404 404 404 429', 'writes, too';
is problem(ask('POST /anyone/x', from => '127.0.9.7'))->{details}{limitType}, 'WRITE_ADDRESS', 'with a type of their own';

# HTTP/2
SKIP: {
    skip 'no HTTP/2 with prefork', 4 unless has_h2();
    my @as = (Authorization => caller_of(++$org, 1));
    is limits(h2(port(), 'GET /named/page.html', @as)), 'read-user 5 2', 'over HTTP/2 as well';
    is join(' ', map { h2(port(), 'DELETE /named/x', @as)->{status} } 1 .. 5), '405 405 405 405 429', 'writes are refused there';
    $res = h2(port(), 'DELETE /named/x', @as);
    is problem($res)->{details}{limitType}, 'WRITE_USER', 'in the same form';
    is fields($res), "ratelimit ratelimit-policy retry-after x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset", 'with the same headers';
}
done_testing;
