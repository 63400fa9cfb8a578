# SPDX-FileCopyrightText: The orgscale authors
# SPDX-License-Identifier: Apache-2.0
# Calls on sockets fail with each errno that they may (F32, F25) while polls are parked: who had no
# answer finds the event by cursor, nobody stays counted, the server is back at once, and meanwhile it
# neither runs in circles nor fills its log.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$ENV{TEST_STAGE}/t/lib", "$FindBin::Bin/../realtime";
use Apache::Test ();
use IO::Select ();
use My::Log qw(expect_error expect_warn);
use My::Server;
use My::Shim;
use POSIX ();
use Rt qw(answer caller_of event ids json_of metrics poll publish request subscribe wait_for waiters);
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => My::Shim::unfit() if My::Shim::unfit();
my $kind = $ENV{TEST_MPM} // 'event';
my $shim = My::Shim->new;
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my ($org, $httpd, $way) = (750, undef, undef);
use constant LINES => 10;       # of the log, a second and child

# httpd's own words for it: a child whose listener can't go on ends, and is replaced
expect_error('apr_socket_accept: \(client socket\)', 'AH0(?:3266|0502|0471|2179|3267)', 'apr_(?:pollset|socket)_\w+', 'AH00484|AH10159|AH00286');
expect_warn('apr_socket_(?:accept|opt_set)', 'AH0(?:2179|3266)');

sub token { return caller_of(org => $org) }
sub totals { return metrics('a', caller_of(org => $org, role => 'admin'))->{totals} }

# Seconds of a processor that the server's children have had, by child
sub used {
    my %used;
    for my $pid ($httpd->children) {
        my @stat = split / /, My::Server::slurp("/proc/$pid/stat") =~ s/^.*\) //sr;
        $used{$pid} = ($stat[11] + $stat[12]) / $ticks if @stat > 12;
    }
    return %used;
}

# What it took since, of the child that had most, a second
sub busiest {
    my ($began, %before) = @_;
    my %now = used();
    my ($most) = sort { $b <=> $a } map { $now{$_} - ($before{$_} // 0) } keys %now;
    return ($most // 0) / (time - $began);
}

# Lines that say something is wrong, of the child that had most of them, a second begun
sub loudest {
    my ($mark, $began) = @_;
    my %by;
    $by{$_}++ for $httpd->errors($mark) =~ /:(?:warn|error|crit|alert|emerg)\] \[pid (\d+)/g;
    my ($most) = sort { $b <=> $a } values %by;
    return ($most // 0) / (1 + int(time - $began));
}

# Four polls, parked behind a cursor
sub parked {
    $org++;
    my $cursor = subscribe('a', token(), 'wait=0')->{cursor};
    my @polls = map { poll('a', token(), "wait=20&cursor=$cursor") } 1 .. 4;
    ok wait_for(10, sub { waiters($org) == 4 }), 'polls are parked';
    return ($cursor, @polls);
}

# An event for parked polls while calls fail as they do, with what is done to them then. Each has the
# event, or an end; the event is there for all.
sub struck {
    my ($what, $rules, $done, %opt) = @_;
    my ($cursor, @polls) = parked();
    my ($mark, $began, %before) = ($httpd->mark, time, used());
    $shim->set(%$rules);
    $done->(@polls);
    my $is_out = eval { publish('a', event($org, eventId => 'struck'))->{status} == 202 };
    sleep 0.3;      # for it to run in circles, where it does
    cmp_ok busiest($began, %before), '<', 0.4, "$what: nobody runs in circles";
    $shim->clear;
    my $back = time;
    $is_out = wait_for(10, sub { eval { publish('a', event($org, eventId => 'struck'))->{status} == 202 } }) if !$is_out;
    ok $is_out, "$what: the event is published, at last";
    cmp_ok time - $back, '<', 5, "$what: and soon";
    my @wrong;
    for my $poll (@polls) {
        my $res = answer($poll, 10);
        # behind it there may be the answer to what came after it
        $res->{body} = substr $res->{body}, 0, $1 if $res && $res->{head} =~ /^Content-Length: (\d+)/mi;
        my $ended = !$res && IO::Select->new($poll)->can_read(0);
        my $said = $res && $res->{status} == 200 ? json_of($res) : undef;
        push @wrong, $res ? "$res->{head}$res->{body}" : 'nothing'
            if !$ended && !($said && (ids($said) eq 'struck' || $said->{drain} || $said->{retryMs}));
        push @wrong, 'lost' if ids(subscribe('a', token(), 'wait=0&cursor=' . ($said && !@{ $said->{events} } ? $said->{cursor} : $cursor)))
            ne 'struck';
    }
    is_deeply \@wrong, [], "$what: each poll has its event, or an end and the event by its cursor";
    ok wait_for(10, sub { !waiters($org) && !totals()->{parked} }), "$what: nobody is counted";
    cmp_ok loudest($mark, $began), '<=', LINES, "$what: the log is not filled" or diag $httpd->errors($mark);
    return;
}

sub writes {
    for my $error (qw(EPIPE ECONNRESET ETIMEDOUT EIO ENOBUFS ENOMEM EPERM EACCES ENETDOWN ENETUNREACH EHOSTUNREACH EHOSTDOWN
        ENOTCONN EINVAL EBADF EFAULT EMSGSIZE EDESTADDRREQ ENOSPC ECONNABORTED)) {
        struck("$way: write: $error", { write => { error => $error, chance => 1 } }, sub { });
    }
    for my $error (qw(EAGAIN EINTR)) {
        struck("$way: write: $error", { write => { error => $error, chance => 0.5 } }, sub { });
    }
    return;
}

# the server reads what polls' connections have more of
sub reads {
    my $more = sub { $_->print("GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n"), $_->flush for @_ };
    for my $error (qw(ECONNRESET ETIMEDOUT EIO ENOBUFS ENOMEM ENOTCONN EINVAL EBADF EFAULT EPIPE EHOSTUNREACH ENETDOWN)) {
        struck("$way: read: $error", { read => { error => $error, chance => 1 } }, $more);
    }
    struck("$way: read: $_", { read => { error => $_, chance => 0.5 } }, $more) for qw(EAGAIN EINTR);
    return;
}

# new clients come meanwhile
sub accepts {
    my $come = sub { eval { request('GET', '/index.html') } for 1 .. 8 };
    for my $error (qw(ECONNABORTED EPROTO ENETUNREACH EHOSTUNREACH ETIMEDOUT ECONNRESET ENETDOWN EHOSTDOWN EOPNOTSUPP ENOPROTOOPT ENONET EPERM)) {
        struck("$way: accept: $error", { accept => { error => $error, chance => 0.5, takes => 1 } }, $come);
    }
    struck("$way: accept: $_", { accept => { error => $_, chance => 0.5 } }, $come) for qw(EAGAIN EINTR EMFILE ENFILE ENOBUFS ENOMEM);
    return;
}

# whoever waits by poll(): the notifier does; by epoll_wait(): it does so with owned, and so does the MPM's
# listener, whose child ends by all but EINTR
sub polls {
    if ($way eq 'owned') {
        struck("$way: epoll: EINTR", { epoll => { error => 'EINTR', chance => 0.5 } }, sub { });
        return;
    }
    for my $error (qw(ENOMEM EINVAL EFAULT EAGAIN EINTR)) {
        my $chance = $error eq 'EINTR' ? 0.5 : 1;
        struck("$way: poll: $error", { poll => { error => $error, chance => $chance } }, sub { });
    }
    return;
}

for my $each ($kind eq 'event' ? qw(waitio owned condvar) : 'condvar') {
    $way = $each;
    $httpd = My::Server->new("errnos_$way", realtime => 1, lines => "RealtimePark $way\nKeepAliveTimeout 2\n");
    $httpd->start(env => $shim->env);
    $Rt::address = '127.0.0.1:' . $httpd->port;
    my $wakes = sub {
        my ($cursor, @polls) = parked();
        publish('a', event($org, eventId => 'ever'));
        is scalar(grep { ids(json_of(answer($_))) eq 'ever' } @polls), 4, "$way: and woken";
    };
    $wakes->();
    writes();
    reads();
    accepts() if $way eq 'condvar';      # the listener's, whatever way
    polls();
    $wakes->();
    is(($httpd->stop)[0], 0, "$way: the server ends");
}
done_testing;
