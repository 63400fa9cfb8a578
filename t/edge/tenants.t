# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Two organisations crawl the same 500 URLs at once, in random order, with conditions, each other's tags, ranges,
# encodings, HEAD, aborts and writes, while the server is reloaded: no byte, tag or key of the one reaches the
# other (issue 6.6). What comes is whole, and of the version that was asked for.
#
# EDGE_CRAWLS: rounds over all URLs by each crawler (2)
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$ENV{TEST_STAGE}/t/tenant", $FindBin::Bin;
use Apache::Test ();
use Edge qw(ask caller_of unzip);
use IO::Socket::INET ();
use JSON::PP ();
use List::Util qw(shuffle);
use My::Log qw(expect_error);
use My::Server ();
use Origin ();
use POSIX ();
use Test::More;
use Time::HiRes ();

my $urls = 500;
my $rounds = $ENV{EDGE_CRAWLS} || 2;
my $stage = $ENV{TEST_STAGE};
my $origin = Origin->new('tenants');
$origin->says('*', body => "<<org {x-org-id}>> of {path}\n" x 60);
my $lines = join '', map { my ($name, $trusted) = @$_; <<"CONF" } ['client', 'none'];
TenantTrustedEdge $trusted
TenantKeySecret file:$stage/t/conf/hs256.secret
Include $stage/src/conf/edge-families.conf
EdgeFamily brief max-age=1 s-maxage=1 stale-while-revalidate=2 stale-if-error=60
CacheQuickHandler off
RewriteEngine On
RewriteRule "^/(?:finance|brief)/(.*)" "http://127.0.0.1:@{[ $origin->port ]}/\$1" [P]
<Location />
    AuthType       TenantJWT
    TenantJWKS     file:$stage/t/conf/jwks.json
    TenantIssuer   https://issuer.test
    TenantAudience orgscale
    TenantProblem  On
    TenantForward  org
    Require        tenant-org
    EdgeCompress   On
    EdgeTag        "thing:%{query:propertyId}"
    EdgePurge      "thing:%{query:propertyId}"
    CacheEnable    ${\ Edge::storage() }
</Location>
<Location /finance>
    EdgeCache finance
</Location>
<Location /brief>
    EdgeCache brief
</Location>
CONF
my $httpd = My::Server->new('edge_tenants', lines => $lines)->start;
Edge::stands_for(edge => $httpd->port);

my $dir = "$stage/t/logs/edge_tenants";
my @coding = (('br') x 7, 'gzip', 'identity', 'br;q=0.1, gzip;q=0.2');

# A few tags of the other organisation, as its crawlers last wrote them
sub others_tags {
    my $org = shift;
    open my $fh, '<', "$dir/tags." . (100 - $org) or return;
    chomp(my @tags = <$fh>);
    return @tags;
}

# An answer that is abandoned in the middle.
sub abandon {
    my ($path, %field) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or return;
    print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\n" . join('', map { "$_: $field{$_}\r\n" } keys %field) . "\r\n";
    sysread $socket, my $some, 200 if rand() < 0.5;
    return;
}

# Everything that one answer says which it must not, and its tag.
sub sins {
    my ($res, $org, $path, $whole) = @_;
    my $other = 100 - $org;
    my @sins;
    push @sins, "status $res->{status}" unless $res->{status} =~ /^(?:200|206|304)$/;
    push @sins, "the other's header" if $res->{raw} =~ /org:$other\b|<<org $other>>/;
    push @sins, 'a header for edges' if $res->{raw} =~ /^(?:X-Org-Key|Surrogate-Key|X-Tenant-Partition|CDN-Cache-Control|Cache-Control: public)/mi;
    if ($res->{status} == 200 && $whole) {
        my $text = unzip($res);
        push @sins, 'another body: ' . substr $text, 0, 60 if $text ne "<<org $org>> of $path\n" x 60;
    }
    return @sins;
}

sub crawl {
    my ($org, $n) = @_;
    srand($org * 10 + $n);
    my $who = { org => $org, user => $n, role => 'manager', properties => [1 .. 5] };
    my $token = caller_of(%$who);
    my (%sins, %tag, %count);
    for my $url (map { shuffle 1 .. $urls } 1 .. $rounds) {
        my $family = $url % 3 ? 'finance' : 'brief';
        my $inner = "u$url?propertyId=" . $url % 5;
        my %field = (Authorization => $token, 'Accept-Encoding' => $coding[rand @coding]);
        my $dice = rand;
        my ($method, $whole) = ('GET', 1);
        if ($dice < 0.1) {
            abandon("/$family/$inner", %field);
            $count{abandoned}++;
            next;
        }
        elsif ($dice < 0.2) { $field{Range} = 'bytes=' . int(rand 500) . '-' . (500 + int rand 500); $whole = 0 }
        elsif ($dice < 0.4 && %tag) { $field{'If-None-Match'} = $tag{$url} // (values %tag)[0] }
        elsif ($dice < 0.6) {
            my @theirs = others_tags($org);
            $field{'If-None-Match'} = join ', ', @theirs[0 .. ($#theirs < 50 ? $#theirs : 50)] if @theirs;
            $field{theirs} = 1 if @theirs;
        }
        elsif ($dice < 0.65) { ($method, $whole) = ('HEAD', 0) }
        elsif ($dice < 0.655) {
            ask("POST /$family/$inner", Authorization => $token, 'Content-Length' => 0);
            $count{written}++;
            next;
        }
        my $theirs = delete $field{theirs};
        my $res = eval { ask("$method /$family/$inner", %field) };
        if (!$res || !$res->{status}) {             # its connection was of the generation that ends
            $count{reset}++;
            next;
        }
        $count{ $res->{status} }++;
        $sins{$_}++ for sins($res, $org, "/$inner", $whole);
        $sins{"the other's tag makes a 304"}++ if $theirs && $res->{status} == 304;
        $count{hit}++ if ($res->{header}{'cache-status'} // '') =~ /; hit/;
        next unless $res->{header}{etag};
        $tag{$url} = $res->{header}{etag};
        if (rand() < 0.05) {
            open my $fh, '>', "$dir/tags.$org.$n.new" or die $!;
            print $fh map { "$_\n" } (values %tag)[0 .. ($#{[values %tag]} < 40 ? $#{[values %tag]} : 40)];
            close $fh;
            rename "$dir/tags.$org.$n.new", "$dir/tags.$org";
        }
    }
    return { sins => \%sins, tags => [values %tag], count => \%count };
}

my $json = JSON::PP->new;
my @crawlers = map {
    my ($org, $n) = @$_;
    pipe my $out, my $in;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $out;
        my $said = eval { $json->encode(crawl($org, $n)) } // $json->encode({ sins => { "died: $@" => 1 }, tags => [], count => {} });
        print $in $said;
        close $in;
        POSIX::_exit(0);
    }
    close $in;
    { pid => $pid, out => $out, org => $org };
} map { my $org = $_; map { [$org, $_] } 1, 2 } 40, 60;

# reloads meanwhile, as long as somebody crawls
my $reloads = 0;
while (grep { !$_->{said} } @crawlers) {
    Time::HiRes::sleep(0.5);
    $httpd->graceful;
    $reloads++;
    for my $crawler (grep { !$_->{said} } @crawlers) {
        my $ready = '';
        vec($ready, fileno $crawler->{out}, 1) = 1;
        next unless select $ready, undef, undef, 0;
        local $/;
        my $out = $crawler->{out};
        $crawler->{said} = $json->decode(<$out>);
        waitpid $crawler->{pid}, 0;
    }
}
my (%tags, %count);
for my $crawler (@crawlers) {
    my $said = $crawler->{said};
    is join('; ', map { "$said->{sins}{$_} x $_" } sort keys %{ $said->{sins} }), '', "organisation $crawler->{org} got what is its own, and all of it";
    $tags{ $crawler->{org} }{$_} = 1 for @{ $said->{tags} };
    $count{$_} += $said->{count}{$_} for keys %{ $said->{count} };
}
is scalar(grep { $tags{60}{$_} } keys %{ $tags{40} }), 0, 'no tag of the one is a tag of the other';
diag join ', ', "$reloads reloads", map { "$count{$_} x $_" } sort keys %count;
cmp_ok $reloads, '>', 1, 'it was reloaded meanwhile';
cmp_ok $count{$_} // 0, '>', 10, "some were $_" for 200, 206, 304, 'abandoned', 'hit';
cmp_ok $count{written} // 0, '>', 0, 'something was written';
cmp_ok $count{reset} // 0, '<', $urls * $rounds / 10, 'few connections ended with their generation';
done_testing;
