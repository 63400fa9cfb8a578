/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Shared memory, see og_shm.h. */
#include "og_shm.h"

#include <sys/mman.h>

apr_status_t og_shm_make(og_shm_head **head, apr_uint32_t magic, apr_uint32_t layout,
                         apr_size_t size)
{
    void *block;

    if (size < sizeof(og_shm_head)) {
        return APR_EINVAL;
    }
    block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        return apr_get_os_error();
    }
    *head = block;
    (*head)->magic = magic;
    (*head)->layout = layout;
    (*head)->size = size;
    return APR_SUCCESS;
}

int og_shm_fits(const og_shm_head *head, apr_uint32_t magic, apr_uint32_t layout, apr_size_t size)
{
    return head && head->magic == magic && head->layout == layout && head->size == size;
}

void og_shm_drop(og_shm_head *head)
{
    munmap(head, head->size);
}
