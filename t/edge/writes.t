# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# No write loses what it outdates: whatever becomes of its answer inside the server, and however odd its query is.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use My::Log qw(expect_error);
use Origin ();
use Stored qw(ask server settings);
use Test::More;

expect_error('AH0(?:1102|1110|0898)');       # an origin that says nothing
my $origin = Origin->new('writes');
my $port = $origin->port;
my $httpd = server('edge_writes', lines => settings() . <<"CONF");
ErrorDocument 500 /sorry.html
ErrorDocument 502 /sorry.html
ErrorDocument 403 /sorry.html
ProxyErrorOverride On
CONF
$origin->says('/written', body => 'written');
my $n = 0;

# What a reader is given behind a write of $how, who was given 'old' before.
sub after {
    my ($read, $write) = @_;
    my $path = '/r' . $n++;
    $origin->says($path, body => 'old');
    ask("GET /long/$port$path$read") for 1, 2;
    $origin->says($path, body => 'new');
    my $res = ask("POST /long/$port$write", 'Content-Length' => 0);
    return "$res->{status} " . ask("GET /long/$port$path$read")->{body};
}

# its answer is the page of an error, which is a GET of another location
$origin->says('/broken', raw => '', close => 1);
is after('?id=1', '/broken?id=1'), '502 new', 'an origin that says nothing may have written';
$origin->says('/fails', status => 500);
is after('?id=1', '/fails?id=1'), '500 new', 'and so may one that fails';
$origin->says('/refuses', status => 403);
is after('?id=1', '/refuses?id=1'), '403 old', 'one that refuses has not';

# a query that our own modules would refuse has its tags, or the answer is not kept
my $plain = '?id=7';
for my $odd ('?id=7&s=a&s=b', '?s=%zz&id=7', '?%69d=7', '?id=7&id=7', '?id=6&id=7', '?id=7&id=6', '?id=6,7', '?id=7%00', '?id=%zz&id=7', '?id=7&' . join('&', map { "p$_=" } 1 .. 99),
    '?id=7&x=' . 'x' x 7000, "?id=7&x=\xff", '?' . '&' x 6000 . 'id=7') {
    my $name = substr $odd, 0, 40;
    is after($odd, "/written$plain"), '200 new', "a read of $name";
    next if $odd =~ /%00/;       # a write that can't be read is said to outdate nothing (OG1302)
    is after($plain, "/written$odd"), '200 new', "a write of $name";
}
# as many as it names
is after('?id=299', '/written?id=' . join(',', 100 .. 299)), '200 new', 'a list of two hundred';
is after('?id=299', '/written?' . join('&', map { "id=$_" } 100 .. 299)), '200 new', 'or as many parameters';
done_testing;
