/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which children live. Each holds a robust lock in shared memory from its start to its end, on its
 * main thread, and never gives it: not even a death by SIGKILL leaves it held, and a child that is
 * stopped still holds it. A place is taken by one child after the other; a count of them makes the
 * number of each its own.
 *
 * Asked for under a shard's lock, with trylock alone: whoever holds one for a moment, to see
 * whether it is free, makes it look taken, and a key that is running for that moment. */
#include "idem.h"

#include "og_lock.h"

#include <errno.h>

/* Children of all generations that are not gone yet */
#define OWNERS 4096

struct idem_owner {
    pthread_mutex_t lock;
    apr_uint64_t lives; /* under lock; read without it */
};

/* parent, then inherited: */
static idem_owner *owners;

/* child: */
static apr_uint64_t self;

apr_size_t idem_owner_size(void)
{
    return OWNERS * sizeof(idem_owner);
}

void idem_owner_init(idem_owner *at)
{
    int i;

    for (i = 0; i < OWNERS; i++) {
        og_lock_init(&at[i].lock);
    }
}

void idem_owner_attach(idem_owner *at)
{
    owners = at;
}

apr_uint64_t idem_owner_self(void)
{
    return self;
}

/* 1: the calling thread has it now, since nobody does. */
static int try(idem_owner *owner)
{
    int rc = pthread_mutex_trylock(&owner->lock);

    return (rc == EOWNERDEAD ? og_lock_repaired(&owner->lock) : rc) == 0;
}

int idem_owner_alive(apr_uint64_t number)
{
    idem_owner *owner = &owners[number % OWNERS];

    if (number == self) {
        return 1;
    }
    if (__atomic_load_n(&owner->lives, __ATOMIC_SEQ_CST) != number / OWNERS) {
        return 0; /* its place is another one's by now */
    }
    if (!try(owner)) {
        return 1;
    }
    og_lock_give(&owner->lock);
    return 0;
}

/* The main thread, which lives as long as the child. */
static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_uint64_t start = (apr_uint64_t)getpid(), i;

    self = 0;
    for (i = 0; owners && !self && i < OWNERS; i++) {
        idem_owner *owner = &owners[(start + i) % OWNERS];

        if (try(owner)) {
            apr_uint64_t lives = __atomic_add_fetch(&owner->lives, 1, __ATOMIC_SEQ_CST);

            self = lives * OWNERS + (start + i) % OWNERS;
        }
    }
    if (owners && !self) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, OGLOGNO(1201)
                     "no place for this child in the store shm: its requests with keys get 503 "
                     "(more than %d children)", OWNERS);
    }
}

void idem_owner_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
}
