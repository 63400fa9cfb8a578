# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Who may include whom (architecture.md): common <- rest <- modules; a module knows another only
# through include/mod_X.h; what is pure never sees httpd.h.
use strict;
use warnings FATAL => 'all';
use lib "$ENV{TEST_STAGE}/t/lib";
use My::Source qw(files slurp);
use Test::More;

my $server = qr{^(?:httpd|http_\w+|util_\w+|ap_\w+|mpm_common|scoreboard|mod_watchdog|mod_auth|mod_log_config|mod_status|mod_cache)\.h$};
my $system = qr{^(?:apr\w*|openssl/\w+|jansson|[a-z0-9]+|sys/\w+|netinet/\w+|arpa/\w+|linux/\w+)\.h$};

# Sources of the convenience libraries that are linked alone into unit tests
my %pure = map { $_ => 1 } files('modules/common', qr/\.[ch]$/);
for my $am (files('modules', qr/\.am$/)) {
    my ($folder) = $am =~ m{(.*)/};
    my $text = slurp($am);
    while ($text =~ /^\w+_pure_la_SOURCES\s*\+?=\s*((?:[^\n]*\\\n)*[^\n]*)/mg) {
        $pure{ s/%D%/$folder/r } = 1 for split /[\s\\]+/, $1;
    }
}

sub allowed {
    my ($file, $header) = @_;
    my ($folder) = $file =~ m{^modules/(\w+)/} ? $1 : 'include';
    return 0 if $header =~ $server && ($pure{$file} || $folder eq 'common');
    return 1 if $header =~ $server;
    return 1 if $header eq 'libpq-fe.h' && $file =~ m{^modules/(?:rest/rest_(?:db|tx)|finance/)};
    return 1 if $header =~ /^og_/ && $folder ne 'include';
    return 1 if $header =~ /^rest_/ && $folder !~ /^(?:common|include)$/;
    return 1 if $header =~ /^mod_\w+\.h$/ && -f My::Source::source("include/$header") && $folder ne 'common';
    return 1 if -f My::Source::source("modules/$folder/$header");
    return $header =~ $system;
}

my @files = (files('modules', qr/\.[ch]$/), files('include', qr/\.h$/));
plan tests => scalar @files;
for my $file (@files) {
    my @bad = grep { !allowed($file, $_) } slurp($file) =~ /^#\s*include\s+[<"]([^>"]+)[>"]/mg;
    is "@bad", '', "$file includes what its layer may";
}
