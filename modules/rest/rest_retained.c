/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Retained segments, see rest_retained.h. */
#include "rest_retained.h"

#include <http_config.h>

#include "og_hooks.h"

og_shm_head *rest_retained_find(const char *name, apr_uint32_t magic, apr_uint32_t layout)
{
    og_shm_head **kept = ap_retained_data_get(name);

    return kept && *kept && og_shm_fits(*kept, magic, layout + og_hooks_layout(), (*kept)->size)
               ? *kept
               : NULL;
}

og_shm_head *rest_retained_segment(const char *name, apr_uint32_t magic, apr_uint32_t layout,
                                   apr_size_t size, int *is_new)
{
    og_shm_head **kept = ap_retained_data_get(name);

    layout += og_hooks_layout();
    if (!kept) {
        kept = ap_retained_data_create(name, sizeof(*kept));
        *kept = NULL;
    }
    *is_new = !*kept || !og_shm_fits(*kept, magic, layout, size);
    /* an old one that does not fit stays mapped: its children have it by inheritance, and their
     * parent loses only address space */
    if (*is_new && og_shm_make(kept, magic, layout, size) != APR_SUCCESS) {
        *kept = NULL;
    }
    return *kept;
}
