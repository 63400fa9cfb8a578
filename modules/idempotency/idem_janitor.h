/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  idem_janitor.h
 * @brief A thread a child that keeps claims alive, and ends those whose end the store did not take
 *
 * Pure. Each second it has the store tidy up, renews claims whose lease is a third over, and
 * repeats what is owed to a store that did not answer. Watches are made and ended by request
 * threads; the list is guarded by the janitor's lock, which is not held while the store is asked.
 */
#ifndef IDEM_JANITOR_H
#define IDEM_JANITOR_H

#include "mod_idempotency.h"

/** How long a call of the store may take. */
#define IDEM_STORE_WITHIN apr_time_from_sec(1)

typedef struct idem_janitor idem_janitor;
typedef struct idem_watch idem_watch;

/** What is left to do for a claim whose request is over. */
typedef enum { IDEM_OWES_NOTHING, IDEM_OWES_DOUBT, IDEM_OWES_RELEASE } idem_owed;

/** Start the thread. store lives as long as p, whose cleanup stops the thread. NULL: none is to be
 * had. */
idem_janitor *idem_janitor_start(const idempotency_store *store, apr_pool_t *p);

/** A claim that runs from now on; it is copied. NULL without memory: nobody renews it then. */
idem_watch *idem_janitor_watch(idem_janitor *janitor, const idempotency_claim *claim);

/** Its request is over; the watch is the janitor's from now on. */
void idem_janitor_end(idem_janitor *janitor, idem_watch *watch, idem_owed owed);

#endif /* IDEM_JANITOR_H */
