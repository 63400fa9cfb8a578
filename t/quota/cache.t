# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Reads are charged where the cache has no answer; what is stored says nothing of anybody's limits, and
# a 304 costs nothing.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Http qw(h2 has_h2 problem);
use My::DB qw(wait_for);
use My::Server;
use Quota qw(ask caller_of counts fields limits port statuses);
use Test::More;

my $res = ask('GET /cached/page.html', from => '127.0.20.1');
is limits($res), 'read-address 3 2', 'a miss is charged';
is fields(ask('GET /cached/page.html', from => '127.0.21.1')), '', 'a hit says nothing of limits, nor of another\'s';
is statuses(6, 'GET /cached/page.html', from => '127.0.20.1'), '200 200 200 200 200 200', 'hits are free';
is limits(ask('GET /cached/leak.asis', from => '127.0.20.1')), 'read-address 3 1', 'the next miss finds the bucket as it was';
ask('GET /cached/none1', from => '127.0.20.1');
is ask('GET /cached/none2', from => '127.0.20.1')->{status}, 429, 'misses have an end';
is ask('GET /cached/page.html', from => '127.0.20.1')->{status}, 200, 'hits do not';

# 304
my $org = 7200;
my ($tag) = ask('GET /reads/page.html', by => [$org, 1])->{header}{etag};
ok $tag, 'a page with a tag';
my $was = counts();
$res = ask('GET /reads/page.html', by => [$org, 1], 'If-None-Match' => $tag);
is $res->{status}, 304, 'that the client has';
is fields($res), '', 'says nothing of limits';
is statuses(5, 'GET /reads/page.html', by => [$org, 1], 'If-None-Match' => $tag), '304 304 304 304 304', 'and is free';
is counts()->{GivenBack} - $was->{GivenBack}, 6, 'each was given back';
is limits(ask('GET /reads/page.html', by => [$org, 1])), 'read-user 3 1', 'the bucket is as after one';

SKIP: {
    skip 'no HTTP/2 with prefork', 2 unless has_h2();
    $res = h2(port(), 'GET /reads/page.html', Authorization => caller_of($org, 1), 'If-None-Match' => $tag);
    is "$res->{status} " . fields($res), '304 ', 'over HTTP/2 as well';
    is limits(h2(port(), 'GET /reads/page.html', Authorization => caller_of($org, 1))), 'read-user 3 0', 'it is';
}
is statuses(7, 'GET /proxied/page.html', by => [$org, 3], 'If-None-Match' => $tag), join(' ', ('304') x 7), 'so is a 304 of a backend';
is limits(ask('GET /proxied/page.html', by => [$org, 3])), 'read-user 5 4', 'whose bucket is full';

# a backend behind mod_proxy, whose handler comes first as well
is limits(ask('GET /proxied/page.html', by => [$org, 2])), 'read-user 5 4', 'a proxied read is charged, whatever its backend says of limits';
$res = ask('GET /proxied/e500', by => [$org, 2]);
is "$res->{status} " . limits($res), '500 read-user 5 3', 'its errors are, too';
is $res->{raw} =~ s/backend//gir, $res->{raw}, 'with our numbers alone';
is statuses(4, 'GET /proxied/page.html', by => [$org, 2]), '200 200 200 429', 'and refused before the backend is asked';

# Without mod_tenant, whose filter sees every answer first
my $stage = $ENV{TEST_STAGE};
open my $fh, '<', "$stage/load.conf" or die $!;
my $modules = join '', grep { !m{$stage/modules/mod_(?!quota)} } <$fh>;
my $httpd = My::Server->new('quota_alone', load => $modules, lines => <<"CONF")->start;
DocumentRoot $stage/t/tenant/docs
QuotaEnable On
QuotaPolicy read address 3/h
<Location /server-status>
    SetHandler  server-status
    QuotaEnable Off
</Location>
CONF
$Quota::port = $httpd->port;
is ask('GET /page.html')->{status}, 200, 'without mod_tenant: a read';
# given back when it is logged: behind the answer
for my $n (1 .. 4) {
    is ask('GET /page.html', 'If-None-Match' => $tag)->{status}, 304, 'a 304';
    ok wait_for(10, sub { counts()->{GivenBack} == $n }), 'which is given back';
}
is statuses(3, 'GET /page.html'), '200 200 429', 'the bucket is as after one';
is(($httpd->stop)[0], 0, 'the server stops as it should');
done_testing;
