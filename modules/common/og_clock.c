/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The two clocks, see og_clock.h. */
#include "og_clock.h"
#include "og_hooks.h"

#include <time.h>

apr_time_t og_clock_mono(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000
           + og_hooks_clock_offset();
}

apr_time_t og_clock_wall(void)
{
    return apr_time_now() + og_hooks_clock_offset();
}
