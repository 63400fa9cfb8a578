/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_shm.h
 * @brief Anonymous shared memory that says what it is
 *
 * Pure. Layout: og_shm_head at offset 0, the owner's data behind it. A segment outlives a graceful
 * restart, and so may meet newer code: magic, layout version and size say whether it still fits.
 * Its processes may map it anywhere: keep offsets in it, never pointers.
 */
#ifndef OG_SHM_H
#define OG_SHM_H

#include <apr.h>
#include <apr_errno.h>

typedef struct og_shm_head {
    apr_uint32_t magic;  /* whose */
    apr_uint32_t layout; /* the owner counts it up with each change of its structures */
    apr_uint64_t size;   /* bytes, this head included */
} og_shm_head;

/** Map a zeroed segment that forks inherit; anonymous, since a named one outlives a kill -9. */
apr_status_t og_shm_make(og_shm_head **head, apr_uint32_t magic, apr_uint32_t layout,
                         apr_size_t size);

/** @return 1 when a segment found again is of this owner, layout and size */
int og_shm_fits(const og_shm_head *head, apr_uint32_t magic, apr_uint32_t layout, apr_size_t size);

/** Unmap. No process may look at it afterwards. */
void og_shm_drop(og_shm_head *head);

#endif /* OG_SHM_H */
