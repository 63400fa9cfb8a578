# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Polls over TLS, two on a connection: the server hears nothing of the second before it has written
# the first's answer, and what is read for TLS's own sake is no request.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", $FindBin::Bin;
use Apache::Test ();
use My::Server;
use Rt qw(caller_of event metrics publish subscribe wait_for waiters);
use Test::More;

my ($stock) = My::Server::slurp("$ENV{TEST_STAGE}/load.conf") =~ m{^LoadModule mpm_\w+_module (\S+)/mod_mpm}m;
my $tls_port = My::Server::free_port();
my $httpd = My::Server->new('tls', realtime => 1);
my $dir = $httpd->dir;
$httpd->configure(realtime => 1, lines => <<"CONF");
LoadModule ssl_module $stock/mod_ssl.so
LogLevel ssl:error
Listen 127.0.0.1:$tls_port
<VirtualHost 127.0.0.1:$tls_port>
    SSLEngine on
    SSLCertificateFile $dir/cert.pem
    SSLCertificateKeyFile $dir/key.pem
</VirtualHost>
CONF
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $dir/key.pem -out $dir/cert.pem -batch 2>$dir/openssl") == 0
    or die 'openssl req';
$httpd->start(env => My::Server::without_leak_check());
$Rt::address = '127.0.0.1:' . $httpd->port;

for my $version (qw(1.2 1.3)) {
    my $org = 400 + 10 * $version;
    my $token = caller_of(org => $org);
    my $cursor = subscribe('a', $token, 'wait=0')->{cursor};
    my $polls_before = metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{polls} - 1;
    my $url = "https://127.0.0.1:$tls_port/rt/a/subscribe?wait=15&cursor=$cursor";
    open my $curl, '-|', 'curl', '-sk', '--http1.1', "--tlsv$version", '--tls-max', $version, '-m', 20,
        '-w', ' connects=%{num_connects}', '-H', "Authorization: $token", $url, "$url&types=second.*" or die "curl: $!";
    ok wait_for(10, sub { waiters($org) == 1 }), "TLS $version: a poll is parked";
    publish('a', event($org, eventId => 'tls1'));
    # the second poll wants another type of event, and finds none
    my $polls = sub { metrics('a', caller_of(org => $org, role => 'admin'))->{totals}{polls} };
    my $before = 3 + $polls_before;
    ok wait_for(10, sub { $polls->() >= $before && waiters($org) == 1 }), 'and the next one on its connection';
    publish('a', event($org, eventId => 'tls2', type => 'second.one'));
    my $all = do { local $/; <$curl> };
    close $curl;
    like $all, qr/"tls1".*connects=1.*"tls2".*connects=0/s, 'each is woken';
    ok wait_for(3, sub { !waiters($org) }), 'and forgotten';
}
is(($httpd->stop('WINCH'))[0], 0, 'the server ends');
done_testing;
