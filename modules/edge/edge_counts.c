/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the storage "orgscale" did, in numbers: lines of mod_status. */
#include "edge.h"

#include "edge_storage.h"

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_status.h>

static void say(request_rec *r, int is_short, const char *name, apr_uint64_t value)
{
    ap_rprintf(r, is_short ? "Edge%s: %" APR_UINT64_T_FMT "\n"
                           : "<dt>%s: %" APR_UINT64_T_FMT "</dt>\n",
               name, value);
}

static int status(request_rec *r, int flags)
{
    int is_short = flags & AP_STATUS_SHORT;
    edge_counters *own = edge_segment_counters();
    edge_store_counts *stored = edge_store_counted(edge_segment_store());
    edge_store_use use;

    edge_store_used(edge_segment_store(), &use);
    ap_rputs(is_short ? "" : "<hr />\n<h2>Responses kept by mod_edge</h2>\n<dl>\n", r);
    say(r, is_short, "Hits", atomic_load(&own->hits));
    say(r, is_short, "HitsStale", atomic_load(&own->stale));
    say(r, is_short, "HitsCollapsed", atomic_load(&own->collapsed));
    say(r, is_short, "Misses", atomic_load(&own->misses));
    say(r, is_short, "MissesOutdated", atomic_load(&own->outdated));
    say(r, is_short, "NotAwaited", atomic_load(&own->unawaited));
    say(r, is_short, "Stored", atomic_load(&stored->stored));
    say(r, is_short, "Evicted", atomic_load(&stored->evicted));
    say(r, is_short, "TooLarge", atomic_load(&stored->too_large));
    say(r, is_short, "LockTimeouts", atomic_load(&stored->timeouts));
    say(r, is_short, "ShardsEmptied", atomic_load(&stored->emptied));
    say(r, is_short, "Entries", use.entries);
    say(r, is_short, "Bytes", use.bytes);
    say(r, is_short, "Size", use.size);
    ap_rputs(is_short ? "" : "</dl>\n", r);
    return OK;
}

void edge_counts_register(apr_pool_t *p)
{
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
}
