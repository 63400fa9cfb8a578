# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Reads are charged where the cache has no answer; what is stored says nothing of anybody's limits, and
# a 304 costs nothing.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Http qw(problem);
use Quota qw(ask counts fields limits statuses);
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

# a backend behind mod_proxy, whose handler comes first as well
is limits(ask('GET /proxied/page.html', by => [$org, 2])), 'read-user 5 4', 'a proxied read is charged, whatever its backend says of limits';
$res = ask('GET /proxied/e500', by => [$org, 2]);
is "$res->{status} " . limits($res), '500 read-user 5 3', 'its errors are, too';
is $res->{raw} =~ s/backend//gir, $res->{raw}, 'with our numbers alone';
is statuses(4, 'GET /proxied/page.html', by => [$org, 2]), '200 200 200 429', 'and refused before the backend is asked';
done_testing;
