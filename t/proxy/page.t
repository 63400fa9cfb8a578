# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# docs/protecting-a-backend.md, followed literally: each block of configuration is added in turn, and
# each curl line gets the status that stands behind it.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Backend;
use My::Log qw(expect_warn);
use My::Server;
use My::Source qw(slurp source);
use Test::More;

expect_warn('OG1004: .*partition keys are unkeyed');
my $page = slurp('docs/protecting-a-backend.md');
my $backend = My::Backend->new('page');
my $httpd = My::Server->new('page', lines => '');
my ($dir, $port) = ($httpd->dir, $httpd->port);
local $ENV{ORGSCALE_VAR} = $dir;
is system(source('build/demo-token'), '--make-keys', "$dir/keys"), 0, 'the demo\'s keys are made';
chomp($ENV{TOKEN} = `'@{[source('build/demo-token')]}' --org 1 --user 2`);

# Paths and ports of the page, here.
sub here {
    my $text = shift;
    return $text =~ s{/tmp/protect}{$dir}gr =~ s{127\.0\.0\.1:9000}{'127.0.0.1:' . $backend->port}ger
        =~ s{127\.0\.0\.1:8090}{127.0.0.1:$port}gr;
}

my ($lines, $blocks, $asked, $before) = ('', 0, 0, '');
while ($page =~ /^```(apache|sh)\n(.*?)^```$/msg) {
    my ($kind, $block) = ($1, here($2));
    if ($kind eq 'apache') {
        # what My::Server says itself, for the build that is tested
        $lines .= $block =~ s/^(?:Server(?:Name|Root)|DefaultRuntimeDir|PidFile|ErrorLog|Listen|LoadModule) .*\n//mgr;
        $httpd->configure(lines => $lines);
        $blocks++ ? $httpd->graceful->renewed : $httpd->start;
        next;
    }
    for (grep { /^curl / } split /\n/, $block) {
        my ($command, $status, $why) = /^curl (.*?) +# (\d{3}): (.*)$/ or fail("$_: no status behind it"), next;
        my $got = `curl -s -o '$dir/body' -w '%{http_code}' $command`;
        is $got, $status, "$status: $why" or diag "curl $command";
        my $body = My::Server::slurp("$dir/body");
        like $body, qr/"x-org-id": \["1"\]/, 'as it is' if $why =~ /x-org-id is 1|it still is/;
        like $body, qr/^this is what I say/, 'as it is' if $why =~ /own text/;
        like $body, qr/^\{"type":"\/problems\//, 'as it is' if $why =~ /a problem|a write|no token|one too many/;
        is $body, $before, 'as it was' if $why =~ /same answer again/;
        $before = $body;
        $asked++;
    }
}
cmp_ok $blocks, '>=', 6, 'there are blocks';
cmp_ok $asked, '>=', 15, 'and lines';
like My::Server::slurp("$dir/api_log"), qr{"GET /api/who" 200 \d+ org=1 user=2 id=[\w-]{22}$}m, 'the log says who';
done_testing;
