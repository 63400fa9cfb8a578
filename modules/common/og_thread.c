/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Threads without signals, see og_thread.h. */
#include "og_thread.h"

void og_thread_block_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

void og_thread_restore_signals(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int og_thread_start(pthread_t *thread, void *(*run)(void *), void *data)
{
    sigset_t before;
    int rc;

    og_thread_block_signals(&before);
    rc = pthread_create(thread, NULL, run, data);
    og_thread_restore_signals(&before);
    return rc;
}
