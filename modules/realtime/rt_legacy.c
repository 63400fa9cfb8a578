/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "realtime-legacy": the endpoint that clients asked ten times a second (P§7). It is
 * gone, and says so to whoever may come there, unless RealtimeLegacy lets it live on as a poll that
 * never waits. */
#include "rt.h"

static int handler(request_rec *r)
{
    static const rest_problem gone = { HTTP_GONE, "legacy_gone",
                                       "This endpoint is gone. Please use the long poll instead.",
                                       NULL, 0 };

    if (!r->handler || strcmp(r->handler, "realtime-legacy") != 0 || !rt_dir(r)->domain) {
        return DECLINED;
    }
    if (rt_dir(r)->legacy == 1) {
        return rt_subscribe(r, 0);
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_problem_send(r, &gone);
}

void rt_legacy_register(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
