/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_thread.h
 * @brief Threads of our own, which take no signals
 *
 * A prefork child handles SIGTERM wherever it is delivered, as if it had one thread only: delivered
 * to a second one, the child would be torn down under the feet of its first.
 */
#ifndef OG_THREAD_H
#define OG_THREAD_H

#include <pthread.h>
#include <signal.h>

/** Block all signals for the calling thread, and those that it starts. */
void og_thread_block_signals(sigset_t *before);

/** As it was before. */
void og_thread_restore_signals(const sigset_t *before);

/** pthread_create() of a thread that has all signals blocked from its first instruction on. */
int og_thread_start(pthread_t *thread, void *(*run)(void *), void *data);

#endif /* OG_THREAD_H */
