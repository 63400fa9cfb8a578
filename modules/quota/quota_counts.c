/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What was decided, in numbers: for other modules, and as lines of mod_status. */
#include "quota.h"

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_status.h>
#include <stddef.h>

static void quota_counts_get(quota_counts *counts)
{
    quota_counters *from = quota_segment_counters();
    int i;

    quota_children_reap();
    counts->allowed = atomic_load(&from->allowed);
    counts->refused = atomic_load(&from->refused);
    counts->dry = atomic_load(&from->dry);
    counts->given_back = atomic_load(&from->given_back);
    counts->overflowed = atomic_load(&from->overflowed);
    counts->fallbacks = atomic_load(&from->fallbacks);
    counts->undecided = atomic_load(&from->undecided);
    counts->streams_refused = atomic_load(&from->streams_refused);
    counts->streams = 0;
    for (i = 0; i < quota_segment_children(); i++) {
        counts->streams += atomic_load(&quota_segment_owner(i)->held);
    }
}

/* Each member of quota_counts has 64 bits. */
static const struct {
    const char *name;
    apr_size_t at;
} lines[] = {
    { "Allowed", offsetof(quota_counts, allowed) },
    { "Refused", offsetof(quota_counts, refused) },
    { "DryRun", offsetof(quota_counts, dry) },
    { "GivenBack", offsetof(quota_counts, given_back) },
    { "Overflowed", offsetof(quota_counts, overflowed) },
    { "Fallbacks", offsetof(quota_counts, fallbacks) },
    { "Undecided", offsetof(quota_counts, undecided) },
    { "StreamsRefused", offsetof(quota_counts, streams_refused) },
    { "Streams", offsetof(quota_counts, streams) },
};

static int status(request_rec *r, int flags)
{
    int is_short = flags & AP_STATUS_SHORT;
    quota_counts counts;
    apr_size_t i;

    quota_counts_get(&counts);
    ap_rputs(is_short ? "" : "<hr />\n<h2>Requests limited by mod_quota</h2>\n<dl>\n", r);
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        apr_int64_t value;

        memcpy(&value, (const char *)&counts + lines[i].at, sizeof(value));
        ap_rprintf(r, is_short ? "Quota%s: %" APR_INT64_T_FMT "\n"
                               : "<dt>%s: %" APR_INT64_T_FMT "</dt>\n",
                   lines[i].name, value);
    }
    ap_rputs(is_short ? "" : "</dl>\n", r);
    return OK;
}

void quota_counts_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(quota_counts_get);
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
}
