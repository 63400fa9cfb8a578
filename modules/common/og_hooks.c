/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Test hooks, see og_hooks.h. */
#include "og_hooks.h"

#ifdef OG_TEST_HOOKS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static og_hooks_control *control; /* written once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map(void)
{
    const char *path = getenv("ORGSCALE_TEST_HOOKS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0) {
        return;
    }
    at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    control = at == MAP_FAILED ? NULL : at;
}

static og_hooks_control *get(void)
{
    pthread_once(&once, map);
    return control;
}

void og_hooks_crash_point(void)
{
    og_hooks_control *hooks = get();
    sigset_t set;

    if (!hooks || __atomic_load_n(&hooks->countdown, __ATOMIC_SEQ_CST) <= 0
        || __atomic_sub_fetch(&hooks->countdown, 1, __ATOMIC_SEQ_CST) != 0) {
        return;
    }
    hooks->victim = (apr_int32_t)getpid();
    /* threads of ours block all signals, and this one must end here */
    sigemptyset(&set);
    sigaddset(&set, hooks->signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(hooks->signal);
}

apr_int64_t og_hooks_clock_offset(void)
{
    og_hooks_control *hooks = get();

    return hooks ? __atomic_load_n(&hooks->clock_offset, __ATOMIC_SEQ_CST) : 0;
}

apr_uint32_t og_hooks_layout(void)
{
    og_hooks_control *hooks = get();

    return hooks ? hooks->layout : 0;
}

int og_hooks_seed(unsigned char *bytes, apr_size_t len)
{
    og_hooks_control *hooks = get();

    if (!hooks || !hooks->fixed_seed) {
        return 0;
    }
    memset(bytes, 0x5a, len);
    return 1;
}

#endif
