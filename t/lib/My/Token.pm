# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package My::Token;

# Tokens for the suites: right ones, and wrong ones in every way a test can think of.
#
#   use My::Token qw(bearer);
#   GET '/v1/…', Authorization => bearer(org => 1, user => 2, role => 'owner', properties => [1, 2]);
#
# t/TEST makes the keys before httpd starts (make_keys): conf/jwks.json holds one public key an
# algorithm, whose kid is the algorithm's name; conf/hs256.secret and so on are shared secrets,
# named by their algorithm too. All signing is done by the openssl command.

use strict;
use warnings FATAL => 'all';
use Digest::SHA ();
use Exporter 'import';
use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64url);
our @EXPORT_OK = qw(bearer claims sign sign_text token b64 json);

our $ISSUER   = 'https://issuer.test';
our $AUDIENCE = 'orgscale';
our @PUBLIC   = qw(RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA);
our @SECRET   = qw(HS256 HS384 HS512);

my %curve = (ES256 => 'P-256', ES384 => 'P-384');
my %half  = (ES256 => 32, ES384 => 48);             # bytes of a coordinate
my $coder = JSON::PP->new->canonical->allow_nonref->utf8;

sub b64  { return encode_base64url(shift, '') }
sub json { return $coder->encode(shift) }

sub dir { return "$ENV{TEST_STAGE}/t/conf" }

sub slurp {
    my $file = shift;
    open my $fh, '<:raw', $file or die "$file: $!\n";
    local $/;
    return scalar <$fh>;
}

sub spew {
    my ($file, $bytes) = @_;
    open my $fh, '>:raw', "$file.new" or die "$file: $!\n";
    print $fh $bytes;
    close $fh or die "$file: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
    return $file;
}

# What the openssl command prints for these arguments.
sub openssl {
    my @args = @_;
    open my $fh, '-|:raw', 'openssl', @args or die "openssl: $!\n";
    my $out = do { local $/; <$fh> };
    close $fh or die "openssl @args: status $?\n";
    return $out // '';
}

# RSA keys are one for all six algorithms: the keys differ by the algorithm they are pinned to.
sub key_file {
    my ($alg, $dir) = (shift, shift // dir());
    return "$dir/" . ($alg =~ /^[RP]S/ ? 'rsa' : lc $alg) . '.pem';
}

# A private key of an algorithm's kind into a file, unless it is there.
sub make_key {
    my ($alg, $file) = @_;
    return $file if -s $file;
    my @how = $curve{$alg}      ? ('EC', '-pkeyopt', "ec_paramgen_curve:$curve{$alg}")
            : $alg eq 'EdDSA'   ? ('ED25519')
            :                     ('RSA', '-pkeyopt', 'rsa_keygen_bits:2048');
    openssl('genpkey', '-quiet', '-algorithm', @how, '-out', $file);
    return $file;
}

# The public half as a JWK.
sub jwk {
    my ($alg, $file, %more) = @_;
    if ($alg =~ /^[RP]S/) {
        my ($hex) = openssl('rsa', '-in', $file, '-noout', '-modulus') =~ /=([0-9A-F]+)/;
        return { kty => 'RSA', alg => $alg, n => b64(pack 'H*', $hex), e => 'AQAB', %more };
    }
    my $der = openssl('pkey', '-in', $file, '-pubout', '-outform', 'DER');
    if ($alg eq 'EdDSA') {
        return { kty => 'OKP', crv => 'Ed25519', alg => $alg, x => b64(substr $der, -32), %more };
    }
    my $half = $half{$alg};
    return { kty => 'EC', crv => $curve{$alg}, alg => $alg, x => b64(substr $der, -2 * $half, $half),
             y => b64(substr $der, -$half), %more };
}

# Key pairs, secrets and jwks.json into a folder; what is there already stays.
sub make_keys {
    my $dir = shift;
    my @jwks;
    for my $alg (@PUBLIC) {
        my $file = make_key($alg, key_file($alg, $dir));
        push @jwks, jwk($alg, $file, kid => $alg, use => 'sig');
    }
    for my $alg (@SECRET) {
        my $file = "$dir/\L$alg\E.secret";
        spew($file, openssl('rand', '-hex', '32')) unless -s $file;
    }
    # the other two are files that suites replace while httpd watches them
    spew("$dir/$_.json", json({ keys => \@jwks }) . "\n") for qw(jwks jwks-rotating jwks-demo);
    return;
}

# $text signed by a key file the way of an algorithm: raw bytes.
sub signature {
    my ($alg, $text, $key) = @_;
    if ($alg =~ /^HS(\d+)$/) {
        chomp(my $secret = $key // slurp(dir() . "/\L$alg\E.secret"));
        return Digest::SHA->can("hmac_sha$1")->($text, $secret);
    }
    my $in = File::Temp->new;
    print $in $text;
    close $in;
    $key //= key_file($alg);
    return openssl('pkeyutl', '-sign', '-rawin', '-inkey', $key, '-in', "$in") if $alg eq 'EdDSA';

    my ($bits) = $alg =~ /(\d+)$/;
    my @pss = $alg =~ /^PS/ ? qw(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1) : ();
    my $out = openssl('dgst', "-sha$bits", '-sign', $key, @pss, "$in");
    return $out unless $half{$alg};
    # DER SEQUENCE of two INTEGERs (short lengths: P-384 stays below 128 bytes) to r || s
    my ($r, $s) = unpack 'x3 C/a x C/a', $out;
    return join '', map { substr(("\0" x 64) . $_, -$half{$alg}) } $r, $s;
}

# The claims of a right token; a name given with undef is left out.
sub claims {
    my %want = @_;
    my $now = int time;
    my %all = (iss => $ISSUER, aud => $AUDIENCE, sub => '2', orgId => '1', role => 'owner',
               sid => 's-test', iat => $now, exp => $now + 300, %want);
    defined $all{$_} or delete $all{$_} for keys %all;
    return \%all;
}

# Any header and payload texts, any signature: what the negative tests start from.
sub sign_text {
    my ($header, $payload, $alg, $key) = @_;
    my $text = b64($header) . '.' . b64($payload);
    return "$text." . b64(signature($alg, $text, $key));
}

# sign('ES256', \%claims, header => {…}, key => FILE-OR-SECRET): a token of these claims.
sub sign {
    my ($alg, $claims, %opt) = @_;
    my %header = (alg => $alg, typ => 'JWT', kid => $alg, %{ $opt{header} || {} });
    defined $header{$_} or delete $header{$_} for keys %header;
    return sign_text(json(\%header), json($claims), $opt{signs} || $alg, $opt{key});
}

# token(org => 1, user => 2, role => 'owner', properties => [1, 2], session => 's', ttl => 300)
sub token {
    my %opt = @_;
    my $claims = claims();
    $claims->{orgId} = "$opt{org}" if defined $opt{org};
    delete $claims->{orgId} if exists $opt{org} && !defined $opt{org};
    $claims->{sub} = "$opt{user}" if defined $opt{user};
    $claims->{role} = $opt{role} if defined $opt{role};
    $claims->{sid} = $opt{session} if defined $opt{session};
    $claims->{properties} = [map { 0 + $_ } @{ $opt{properties} }] if $opt{properties};
    $claims->{exp} = $claims->{iat} + $opt{ttl} if defined $opt{ttl};
    return sign($opt{alg} || 'EdDSA', $claims);
}

# The value of an Authorization header; arguments as for token().
sub bearer { return 'Bearer ' . token(@_) }

1;
