# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
package Rows;

# Rows of t/bad-inputs/*.jsonl: one object a line.
#
#   id         class and variant, "B06-padding"
#   to         the <VirtualHost> that gets it; "main" for the main server
#   request    the bytes. Placeholders:
#                {{token}}               the row's token, or one that is right (org 1, user 2, owner)
#                {{token:org=7,user=1}}  a right one of a caller; also role, properties=1|2, session, alg, ttl
#                {{head}} {{payload}} {{sign}}   segments of {{token}}; {{sign:pad}} and so on, see %change
#                {{body}} {{length}}     the row's body, and its size
#                {{repeat:A:65536}} {{hex:ff00}} {{port:tenant_client}} {{key}} (an idempotency key of its own)
#   body       the same for a body; fill: it is repeated until it has this many bytes
#   drip       from this byte of the request on ("body": from its body on), one comes each 0.1 s
#   before     what is asked first, each on a connection of its own: { request, body, expect }
#   token      how the row's token is wrong: alg (whose key signs; EdDSA), header and claims (changes to
#              right ones, null leaves out, "{{now+60}}" is a time), or head and payload as texts, key
#              (pem:RS256, der:RS256, jwks:RS256, text:…: the secret that an HS algorithm signs with)
#   closes     the server ends the connection though the answer did not say so
#   beside     it takes its time: sent while the rows of its file that say so are
#   half       the client ends its side after the request
#   method     HEAD: the answer has no body
#   expect     statuses that are right; 0: the connection ends without an answer
#   then       statuses of further answers that the bytes asked for
#   reason, code   of the problem
#   like       id of a row above: the answer is that row's, but for what names the request
#   rows       how many expenses there are more when all was asked
#   required   regular expressions that the answer matches
#   forbidden  texts that no byte of the connection may hold
#   logged     regular expression: the line of level warn or error that it causes

use strict;
use warnings FATAL => 'all';
use FindBin;
use JSON::PP ();
use MIME::Base64 ();
use POSIX ();
use My::DB ();
use My::Token ();
use My::Wire ();
use Apache::TestRequest ();

my $coder = JSON::PP->new->utf8;
my (%token, %port, %used, %answered);
my $keys = 0;

sub load {
    my $file = shift;
    open my $fh, '<:raw', $file or die "$file: $!";
    my @rows;
    while (my $line = <$fh>) {
        push @rows, eval { $coder->decode($line) } // die "$file line $.: $@";
    }
    return @rows;
}

sub port_of {
    my $vhost = shift;
    local $_;       # Apache::Test writes to it
    return $port{$vhost} //= do {
        Apache::TestRequest::module($vhost eq 'main' ? 'default' : $vhost);
        my ($port) = Apache::TestRequest::hostport() =~ /:(\d+)$/;
        Apache::TestRequest::module('default');
        $port;
    };
}

# Every token that was sent: none may be in a log.
sub used { return keys %used }

sub note {
    my $token = shift;
    $used{$token} = 1 if length $token > 40;
    return $token;
}

# A right token, made once a caller: "org=7,user=1"
sub caller_token {
    my $who = shift // '';
    return $token{$who} //= do {
        my %opt = map { split /=/, $_, 2 } split /,/, $who;
        $opt{properties} = [split /\|/, $opt{properties}] if defined $opt{properties};
        note(My::Token::token(%opt));
    };
}

# The secret of an HS algorithm as an attacker would choose it.
sub secret {
    my ($form, $of) = split /:/, shift, 2;
    return $of if $form eq 'text';
    my $file = My::Token::key_file($of);
    return My::Token::json({ keys => [My::Token::jwk($of, $file)] }) if $form eq 'jwks';
    return My::Token::openssl('pkey', '-in', $file, '-pubout', $form eq 'der' ? ('-outform', 'DER') : ());
}

sub moments {
    my $text = shift;
    $text =~ s/"?\{\{now([+-]\d+)?\}\}"?/time + ($1 || 0)/ge;
    return $text;
}

# Changes on top of what is right, as JSON text.
sub changed {
    my ($right, $change) = @_;
    my %all = (%$right, %{ $change || {} });
    defined $all{$_} or delete $all{$_} for keys %all;
    return moments(My::Token::json(\%all));
}

sub wrong_token {
    my $how = shift;
    my $alg = $how->{alg} // 'EdDSA';
    my $head = $how->{head} // changed({ alg => $alg, typ => 'JWT', kid => $alg }, $how->{header});
    my $payload = defined $how->{payload} ? moments($how->{payload}) : changed(My::Token::claims(), $how->{claims});
    utf8::encode($_) for grep { utf8::is_utf8($_) } $head, $payload;
    s/\{\{hex:([0-9a-f]*)\}\}/pack 'H*', $1/ge for $head, $payload;
    s/\{\{repeat:(.+?):(\d+)\}\}/$1 x $2/ge for $head, $payload;
    my @key = defined $how->{key} ? secret($how->{key}) : ();
    return My::Token::sign_text($head, $payload, $how->{signs} // $alg, @key);
}

my $alphabet = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_';

# What a decoder that is not strict would take for the same bytes, and what is too short or long
my %change = (
    pad   => sub { my $s = shift; return $s . '=' x (-length($s) % 4 || 1) },
    std   => sub { my $s = shift; $s =~ tr{-_}{+/}; return $s =~ m{[+/]} ? $s : "+$s" },
    bits  => sub { my $s = shift; my $at = index $alphabet, chop $s; return $s . substr $alphabet, $at | 1, 1 },
    cut   => sub { return substr shift, 0, -1 },
    half  => sub { my $s = shift; return substr $s, 0, length($s) / 2 },
    more  => sub { return shift . 'A' },
    space => sub { my $s = shift; substr $s, 4, 0, ' '; return $s },
    tab   => sub { my $s = shift; substr $s, 4, 0, "\t"; return $s },
    nul   => sub { my $s = shift; substr $s, 4, 0, "\0"; return $s },
    high  => sub { my $s = shift; substr $s, 4, 0, "\xff"; return $s },
    dot   => sub { my $s = shift; substr $s, 4, 0, '.'; return $s },
    flip  => sub { my $s = shift; substr($s, 0, 1) = substr($s, 0, 1) eq 'A' ? 'B' : 'A'; return $s },
    last  => sub { my $s = shift; substr($s, -2, 1) = substr($s, -2, 1) eq 'A' ? 'B' : 'A'; return $s },
    upper => sub { return uc shift },
);

sub expand {
    my ($row, $text, $body) = @_;
    my $own = sub { $row->{made} //= note($row->{token} ? wrong_token($row->{token}) : caller_token()) };
    my $part = sub { my ($n, $how) = @_; my $s = (split /\./, $own->())[$n] // ''; return $how ? $change{$how}->($s) : $s };
    my %make = (
        token   => sub { defined $_[0] ? caller_token($_[0]) : $own->() },
        head    => sub { $part->(0, @_) },
        payload => sub { $part->(1, @_) },
        sign    => sub { $part->(2, @_) },
        body    => sub { $body },
        length  => sub { length($body) + ($_[0] // 0) },
        hex     => sub { pack 'H*', $_[0] },
        port    => sub { port_of($_[0]) },
        key     => sub { $row->{key} //= join '-', 'row', $$, ++$keys },
        repeat  => sub { my ($what, $count) = $_[0] =~ /^(.*):(\d+)$/s; $what x $count },
    );
    utf8::encode($text) if utf8::is_utf8($text);
    $text =~ s/\{\{(\w+)(?::(.*?))?\}\}/($make{$1} || die "$row->{id}: {{$1}}")->(defined $2 ? $2 : ())/ges;
    return $text;
}

# What a caller of the same server asks next, and how it is answered when all is well.
my %good = (
    tenant => ["GET /secured/page.html HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {{token}}\r\n\r\n", qr{<body>page</body>}],
    main   => ["GET /v1/finance/expenses?limit=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {{token:org=9101,user=91011}}\r\n\r\n", qr{canary-9101}],
);

# The good request of a server on a connection: what is wrong with its answer, or undef.
sub next_is_served {
    my ($to, $wire) = @_;
    my ($request, $page) = @{ $good{$to =~ /^tenant/ ? 'tenant' : 'main'} };
    $wire->send(expand({}, $request));
    my $answer = $wire->answer;
    return 'no answer' unless $answer;
    return "status $answer->{status}" if $answer->{status} != 200;
    return 'another body' if $answer->{body} !~ $page || $answer->{body} =~ /canary-9102/;
    return length $wire->{in} ? 'more bytes than were asked for' : undef;
}

sub problem_of {
    my $answer = shift;
    return {} if $answer->{head} !~ m{^Content-Type: application/problem\+json\r$}mi;
    return eval { $coder->decode($answer->{body}) } || {};
}

sub check_answer {
    my ($row, $answer) = @_;
    my @bad;
    my $problem = problem_of($answer);
    push @bad, "reason " . ($problem->{details}{reason} // 'none') . ", not $row->{reason}"
        if $row->{reason} && ($problem->{details}{reason} // '') ne $row->{reason};
    push @bad, 'code ' . ($problem->{code} // 'none') . ", not $row->{code}"
        if $row->{code} && ($problem->{code} // '') ne $row->{code};
    push @bad, map { "it does not match $_" } grep { $answer->{raw} !~ /$_/m } @{ $row->{required} || [] };
    return @bad;
}

# Head and body of what a row asks, or of what is asked before it.
sub bytes_of {
    my ($row, $what) = @_;
    my $body = defined $what->{body} ? expand($row, $what->{body}) : '';
    $body = substr $body x ($what->{fill} / length($body) + 1), 0, $what->{fill} if $what->{fill};
    return expand($row, $what->{request}, $body);
}

# What is asked before a row: what was wrong with that.
sub prepare {
    my $row = shift;
    my @bad;
    for my $what (@{ $row->{before} || [] }) {
        my $wire = My::Wire->new(port_of($row->{to}));
        $wire->send(bytes_of($row, $what));
        my $answer = $wire->answer || { status => 'none' };
        push @bad, "before: status $answer->{status}, not @{ $what->{expect} }"
            unless grep { $_ eq $answer->{status} } @{ $what->{expect} };
    }
    return @bad;
}

sub send_row {
    my ($row, $wire) = @_;
    my $bytes = bytes_of($row, $row);
    if (defined(my $from = $row->{drip})) {
        $from = index($bytes, "\r\n\r\n") + 4 if $from eq 'body';
        $wire->send(substr $bytes, 0, $from);
        $wire->drip(substr($bytes, $from), 0.1);
    }
    else {
        $wire->send($bytes);
    }
    $wire->finish if $row->{half};
    return;
}

# An answer without what names its request and the moment.
sub nameless {
    my $raw = shift;
    return $raw =~ s/^(?:Date|X-Request-Id): [^\r]*\r\n//gmir =~ s/"instance":"[^"]*",//r;
}

sub expenses { return My::DB::quick('SELECT count(*) FROM transactions') }

# Sends a row: all that was wrong.
sub run {
    my $row = shift;
    my $expenses = defined $row->{rows} ? expenses() : 0;
    my ($all, @bad) = ('', prepare($row));
    my $wire = My::Wire->new(port_of($row->{to}));
    send_row($row, $wire);

    my ($first, $answer);
    for my $expect ($row->{expect}, @{ $row->{then} || [] }) {
        $answer = $wire->answer(method => $row->{method});
        return 'no answer, and the connection stays open' unless $answer;
        $all .= $answer->{raw};
        $first //= nameless($answer->{raw});
        push @bad, "status $answer->{status}, not @$expect" unless grep { $_ == $answer->{status} } @$expect;
        push @bad, check_answer($row, $answer) if $expect == $row->{expect};
    }
    if ($answer->{keep} && !$row->{half} && !$row->{closes}) {
        my $wrong = next_is_served($row->{to}, $wire);
        push @bad, "the next request on its connection: $wrong" if $wrong;
    }
    else {
        my $rest = $wire->rest;
        push @bad, defined $rest ? () : 'the connection stays open';
        push @bad, 'a second answer: ' . substr $rest, 0, 60 if length($rest // '');
        $all .= $rest // '';
    }
    push @bad, map { "it holds $_" } grep { index($all, expand($row, $_)) >= 0 } @{ $row->{forbidden} || [] };
    my $wrong = next_is_served($row->{to}, My::Wire->new(port_of($row->{to})));
    push @bad, "the next request: $wrong" if $wrong;
    push @bad, "another answer than $row->{like}" if $row->{like} && $first ne ($answered{ $row->{like} } // '');
    my $more = defined $row->{rows} ? expenses() - $expenses : 0;
    push @bad, "$more more expenses, not $row->{rows}" if $more != ($row->{rows} // 0);
    $answered{ $row->{id} } = $first;
    $row->{raw} = $all;
    return @bad;
}

# The same in a process of its own: what finish() takes.
sub start {
    my $row = shift;
    my $pid = open(my $fh, '-|') // die "fork: $!";
    return $fh if $pid;
    my @bad = eval { run($row) };
    print $coder->encode({ bad => [@bad, $@ ? "$@" : ()], raw => $row->{raw} // '' });
    close STDOUT;
    POSIX::_exit(0);
}

sub finish {
    my ($row, $fh) = @_;
    local $/;
    my $said = $coder->decode(<$fh>);
    $row->{raw} = $said->{raw};
    return @{ $said->{bad} };
}

1;
