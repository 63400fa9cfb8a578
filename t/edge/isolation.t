# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# An entry is of one server, and of what the origin was asked without anything that is not in the key: by no
# spelling of a request does one client choose what another is given (B14, B18, B19).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(caller_of);
use Origin ();
use Stored qw(ask server settings);
use Test::More;

my $origin = Origin->new('isolation');
my $port = $origin->port;
my $neighbour = My::Server::free_port();
my $httpd = server('edge_isolation', lines => settings() . <<"CONF");
Listen 127.0.0.1:$neighbour
<VirtualHost 127.0.0.1:$neighbour>
    ServerName     localhost
    RewriteEngine  on
    RewriteRule    "^/(?:long|mine)/(\\d+)/(.*)\$" "http://127.0.0.1:\$1/neighbour/\$2" [P]
</VirtualHost>
CONF

# Bytes of a request to a port, less its end; the answer.
sub says {
    my ($at, $head, $body) = @_;
    my $res = Http::parse(Http::exchange($at, "$head\r\n\r\n" . ($body // '')));
    $res->{says} = Edge::status_of($res);
    return $res;
}

# Of two servers: each has its own, whatever Host says of the other
my @of = ([$httpd->port, 'here'], [$neighbour, 'next door']);
my $n = 0;
for my $host ('localhost', 'x:' . $httpd->port, "x:$neighbour", 'x:9', '127.0.0.1', "127.0.0.1:$neighbour") {
    for my $who ([long => ''], [mine => "\r\nAuthorization: " . caller_of(org => 5, user => 1)]) {
        my ($family, $token) = @$who;
        my $path = '/vhost' . $n++;
        $origin->says($path, body => 'here')->says("/neighbour$path", body => 'next door');
        my $ask = sub { return says($_[0], "GET /$family/$port$path HTTP/1.1\r\nHost: $host\r\nConnection: close$token") };
        is join(', ', map { $ask->($_->[0])->{body} } @of), 'here, next door', "$family: '$host' is two servers";
        is join(', ', map { my $res = $ask->($_->[0]); "$res->{says} $res->{body}" } @of), 'hit here, hit next door', 'and each is kept';
    }
}
$httpd->graceful->renewed;
is says($httpd->port, "GET /long/$port/vhost0 HTTP/1.1\r\nHost: localhost\r\nConnection: close")->{says}, 'hit', 'over a reload as well';

# a GET with a body, which some backends read: it is in no key
for my $case (["Content-Length: 4", 'evil'], ["Transfer-Encoding: chunked", "4\r\nevil\r\n0\r\n\r\n"]) {
    my ($field, $body) = @$case;
    for my $method (qw(GET HEAD)) {
        my $path = '/body' . $n++;
        $origin->says($path, body => '{body}');
        my $res = says($httpd->port, "$method /long/$port$path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n$field", $body);
        is "$res->{says} " . Edge::faces($res), 'fwd=bypass private, no-store', "$method with a body ($field) is kept by nobody";
        is ask("GET /long/$port$path")->{body}, '', 'and is not what others are given';
        $origin->says($path, body => 'other');
        is says($httpd->port, "GET /long/$port$path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n$field", $body)->{body}, 'other', 'nor is it given what others are';
    }
}
is says($httpd->port, "GET /long/$port/vhost0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0")->{says}, 'hit', 'one of no bytes is none';

# fields that are in no key don't reach the origin, in none of the spellings that application servers take for one
for my $field (qw(X-Forwarded-Host X_Forwarded_Host x_forwarded-HOST X.Original.URL X_HTTP_Method_Override X_Real_IP)) {
    my $path = '/field' . $n++;
    $origin->says($path, body => 'all the same');
    ask("GET /long/$port$path", $field => 'evil');
    my ($head) = $origin->asked($path);
    unlike $head, qr/evil/, "$field is kept from the origin";
}

# what is for anybody is asked for as by nobody
my $whom = '/whom';
$origin->says($whom, body => 'for {authorization}');
is ask("GET /long/$port$whom", Authorization => 'Bearer secret')->{body}, 'for ', 'a public answer is made for nobody';
is ask("GET /long/$port$whom")->{body}, 'for ', 'and so it is what strangers get';
like ask("GET /mine/$port$whom", by => [5, 1])->{body}, qr/^for Bearer /, 'one\'s own is made for oneself';

# what Connection names ends here: the origin does not see it, and neither does who compares by Vary
for my $connection ('close, Accept-Language', 'accept-language, close', "Accept-Language\r\nConnection: close") {
    my $path = '/named' . $n++;
    $origin->says($path, body => 'in {accept-language}', Vary => 'Accept-Language');
    is says($httpd->port, "GET /long/$port$path HTTP/1.1\r\nHost: localhost\r\nAccept-Language: de\r\nConnection: $connection")->{body}, 'in ', 'one who names it has none';
    is ask("GET /long/$port$path", 'Accept-Language' => 'de')->{body}, 'in de', 'and is another than who has it';
}
is says($httpd->port, "GET /mine/$port/whom HTTP/1.1\r\nHost: localhost\r\nConnection: close, Authorization\r\nAuthorization: " . caller_of(org => 5, user => 2))->{body} =~ s/ \w{9}.*//r,
    'for Bearer', 'but who asks is what can not be named away';
done_testing;
