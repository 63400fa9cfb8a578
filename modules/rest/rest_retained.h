/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_retained.h
 * @brief Shared memory that survives graceful restarts
 *
 * httpd clears its configuration pool at every restart, but not its process pool: the mapping is
 * kept there, under a name, and the new generation's parent finds it again (httpd-facts.md 13.6).
 */
#ifndef REST_RETAINED_H
#define REST_RETAINED_H

#include "og_shm.h"

#include <httpd.h>

/**
 * The segment of that name, or a new one where there is none of this magic, layout and size.
 * For post_config hooks, in the parent. An old one that does not fit stays mapped for the children
 * that still use it.
 * @param is_new  1: zeros behind the head
 * @return NULL when there is no memory
 */
og_shm_head *rest_retained_segment(const char *name, apr_uint32_t magic, apr_uint32_t layout,
                                   apr_size_t size, int *is_new);

/** The segment of that name as it is, if it is of this magic and layout; else NULL. */
og_shm_head *rest_retained_find(const char *name, apr_uint32_t magic, apr_uint32_t layout);

#endif /* REST_RETAINED_H */
