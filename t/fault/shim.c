/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a server of a test's own (My::Shim): calls fail, are interrupted or do a byte of
 * what they were asked for, as their rule says. The rules are a file that each process maps, so
 * that the test changes them while the server runs; t/lib/My/Shim.pm writes it, and has the same
 * layout.
 *
 * Only what is a socket is touched: logs and pid files have faults of their own. In reality nothing
 * interrupts a call on a descriptor that does not block; here it happens, which is the harder case.
 * No lock: a call reads its rule once, and which of two calls is the last under the old one is all
 * the same. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { READ, WRITE, ACCEPT, CONNECT, POLL, EPOLL, WATCH, THREAD, CALLS };

/* Chances are of a thousand; those of one call are drawn apart. */
typedef struct rule {
    int32_t error;        /* an errno */
    int32_t error_chance;
    int32_t short_chance; /* READ, WRITE: of a single byte */
    int32_t takes;        /* ACCEPT: the connection is gone with its error, as it is for some */
    uint32_t hits;        /* how often the rule acted */
    char of[64];          /* WATCH, THREAD: a part of the path of the library that asks for the one,
                           * or whose function the other would run; "": any */
} rule;

typedef struct rules {
    rule of[CALLS];
} rules;

static rules *control; /* written once */

__attribute__((constructor)) static void map(void)
{
    const char *path = getenv("SHIM_RULES");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0) {
        return;
    }
    at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    control = at == MAP_FAILED ? NULL : at;
}

/* The function that stands behind ours. */
static void *behind(const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);

    if (!at) {
        abort();
    }
    return at;
}

/* xorshift, one a thread: rand() has a lock, and the same numbers in each child */
static int drawn(int32_t chance)
{
    static _Thread_local uint32_t state;

    if (chance <= 0) {
        return 0;
    }
    if (!state) {
        state = (uint32_t)getpid() * 2654435761U ^ (uint32_t)(uintptr_t)&state;
        state += !state;
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (int32_t)(state % 1000) < chance;
}

static int is_socket(int fd)
{
    struct stat what;

    return fstat(fd, &what) == 0 && S_ISSOCK(what.st_mode);
}

/* Whether a call fails by its rule; errno is set then. */
static int fails(int call)
{
    rule *by = control ? &control->of[call] : NULL;

    if (!by || !drawn(__atomic_load_n(&by->error_chance, __ATOMIC_RELAXED))) {
        return 0;
    }
    __atomic_fetch_add(&by->hits, 1, __ATOMIC_RELAXED);
    errno = __atomic_load_n(&by->error, __ATOMIC_RELAXED);
    return 1;
}

/* Whether a call does one byte. */
static int is_short(int call)
{
    rule *by = control ? &control->of[call] : NULL;

    if (!by || !drawn(__atomic_load_n(&by->short_chance, __ATOMIC_RELAXED))) {
        return 0;
    }
    __atomic_fetch_add(&by->hits, 1, __ATOMIC_RELAXED);
    return 1;
}

/* How much of so many bytes is asked for: -1 when the call fails. */
static ssize_t allowed(int call, int fd, size_t len)
{
    if (!control || len == 0 || !is_socket(fd)) {
        return (ssize_t)len;
    }
    if (fails(call)) {
        return -1;
    }
    return is_short(call) ? 1 : (ssize_t)len;
}

ssize_t read(int fd, void *to, size_t len)
{
    static ssize_t (*real)(int, void *, size_t);
    ssize_t some = allowed(READ, fd, len);

    if (!real) {
        *(void **)&real = behind("read");
    }
    return some < 0 ? -1 : real(fd, to, (size_t)some);
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);
    ssize_t some = allowed(READ, fd, len);

    if (!real) {
        *(void **)&real = behind("recv");
    }
    return some < 0 ? -1 : real(fd, to, (size_t)some, flags);
}

ssize_t write(int fd, const void *from, size_t len)
{
    static ssize_t (*real)(int, const void *, size_t);
    ssize_t some = allowed(WRITE, fd, len);

    if (!real) {
        *(void **)&real = behind("write");
    }
    return some < 0 ? -1 : real(fd, from, (size_t)some);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    ssize_t some = allowed(WRITE, fd, len);

    if (!real) {
        *(void **)&real = behind("send");
    }
    return some < 0 ? -1 : real(fd, from, (size_t)some, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    struct iovec first;
    ssize_t some;

    if (!real) {
        *(void **)&real = behind("writev");
    }
    while (n > 0 && parts->iov_len == 0) {
        parts++;
        n--;
    }
    some = n > 0 ? allowed(WRITE, fd, parts->iov_len) : 0;
    if (n <= 0 || some == (ssize_t)parts->iov_len) {
        return real(fd, parts, n);
    }
    if (some < 0) {
        return -1;
    }
    first.iov_base = parts->iov_base;
    first.iov_len = (size_t)some;
    return real(fd, &first, 1);
}

/* A connection that its rule takes is had first: the wait for it may outlast the rule. */
int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    static int (*real)(int, struct sockaddr *, socklen_t *, int);
    int takes = control && __atomic_load_n(&control->of[ACCEPT].takes, __ATOMIC_RELAXED);
    int got, error;

    if (!real) {
        *(void **)&real = behind("accept4");
    }
    got = takes ? real(fd, from, len, flags) : -1;
    if (takes && got < 0) {
        return -1;
    }
    if (!fails(ACCEPT)) {
        return takes ? got : real(fd, from, len, flags);
    }
    error = errno;
    if (got >= 0) {
        close(got);
    }
    errno = error;
    return -1;
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    static int (*real)(int, const struct sockaddr *, socklen_t);

    if (!real) {
        *(void **)&real = behind("connect");
    }
    return fails(CONNECT) ? -1 : real(fd, to, len);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    static int (*real)(struct pollfd *, nfds_t, int);

    if (!real) {
        *(void **)&real = behind("poll");
    }
    return fails(POLL) ? -1 : real(fds, n, timeout);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);

    if (!real) {
        *(void **)&real = behind("epoll_wait");
    }
    return fails(EPOLL) ? -1 : real(fd, events, n, timeout);
}

/* Whether a rule is of the library that a function is in. */
static int is_meant(int call, const void *function)
{
    const char *library = control ? control->of[call].of : "";
    Dl_info where;

    return !library[0]
           || (dladdr(function, &where) && where.dli_fname
               && strstr(where.dli_fname, library) != NULL);
}

int epoll_ctl(int fd, int operation, int of, struct epoll_event *what)
{
    static int (*real)(int, int, int, struct epoll_event *);

    if (!real) {
        *(void **)&real = behind("epoll_ctl");
    }
    return is_meant(WATCH, __builtin_return_address(0)) && fails(WATCH)
               ? -1
               : real(fd, operation, of, what);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *data)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (!real) {
        *(void **)&real = behind("pthread_create");
    }
    if (is_meant(THREAD, *(void **)&run) && fails(THREAD)) {
        return errno;
    }
    return real(thread, attr, run, data);
}
