/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Merges without a third record, see rest_merge.h. */
#include "rest_merge.h"

#include <string.h>

void *rest_merge_one(void *base, void *add, const void *blank, apr_size_t size)
{
    if (!memcmp(base, blank, size)) {
        return add;
    }
    return memcmp(add, blank, size) != 0 ? NULL : base;
}
