/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* F02: deaths in the middle of work on shared memory. A process does the work that is stepped
 * instruction by instruction (ptrace), so that it can die at any of them. */
#ifndef STEPPED_H
#define STEPPED_H

#include "unit.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void stepped_work(void *data);

/* A process that stands before the first instruction of work(data). */
static inline pid_t stepped_begin(stepped_work *work, void *data)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        work(data);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

/* So many instructions. @return 0: it has come to its end, which was as it should be */
static inline int stepped_go(pid_t pid, int steps)
{
    int status;

    while (steps--) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status)) {
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            return 0;
        }
    }
    return 1;
}

static inline void stepped_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* work(data) by a process that dies behind so many instructions.
 * @return 0: it came to its end before */
static inline int stepped_dies(stepped_work *work, void *data, int steps)
{
    pid_t pid = stepped_begin(work, data);

    if (!stepped_go(pid, steps)) {
        return 0;
    }
    stepped_kill(pid);
    return 1;
}

/* Instructions from one death to the next; a sanitizer's are many, and none of ours */
static inline int stepped_stride(int least, int steps)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return least + steps / 12;
#else
    return least;
#endif
}

/* work(data), and dies(copy, data) once at each store into shared memory, with a copy of the block
 * as it is then. */
static inline void stepped_each_store(const void *block, size_t size, stepped_work *work,
                                      void (*dies)(void *copy, void *data), void *data)
{
    void *copy = malloc(size), *last = calloc(1, size);
    pid_t pid = stepped_begin(work, data);

    do {
        if (memcmp(last, block, size) != 0) {
            memcpy(last, block, size);
            memcpy(copy, block, size);
            dies(copy, data);
        }
    } while (stepped_go(pid, 1));
    free(copy);
    free(last);
}

#endif /* STEPPED_H */
