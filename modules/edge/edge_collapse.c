/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One request builds the answer for a key that is not there, the others wait for it: up to
 * EdgeCollapseWait, and at most half of a child's threads at once, so that a slow origin does not
 * take those that other answers need. A mark that a request holds is given back when its answer is
 * stored, and when its header leaves and nothing is being stored. One whose client went away before
 * that gives up, at the latest with its pool: the next of those who wait builds, the others go on
 * waiting. */
#include "edge.h"

#include "edge_storage.h"
#include "og_clock.h"

#include <ap_mpm.h>
#include <apr_optional_hooks.h>
#include <apr_strings.h>

static atomic_int waiting; /* child */
static int most = 1;       /* child: who may wait at once */

static apr_status_t end(void *build)
{
    edge_builders_end(edge_segment_builders(), build);
    return APR_SUCCESS;
}

static apr_status_t give_up(void *build)
{
    edge_builders_give_up(edge_segment_builders(), build);
    return APR_SUCCESS;
}

static apr_status_t refuse(void *build)
{
    edge_builders_refuse(edge_segment_builders(), build, og_clock_mono());
    return APR_SUCCESS;
}

/* Instead of giving up with its pool. */
static void leave(edge_request *own, apr_status_t (*by)(void *build))
{
    if (own->building) {
        apr_pool_cleanup_kill(own->pool, own->building, give_up);
        by(own->building);
        own->building = NULL;
    }
}

void edge_collapse_end(edge_request *own)
{
    leave(own, end);
}

void edge_collapse_give_up(edge_request *own)
{
    leave(own, give_up);
}

void edge_collapse_refuse(edge_request *own)
{
    leave(own, refuse);
}

int edge_collapse_refused(const edge_request *own, const unsigned char key[EDGE_STORE_KEY])
{
    return edge_builders_refused(edge_segment_builders(), key, own->epoch, og_clock_mono());
}

/* What the request was before it was redirected is not waited for. */
static void end_before(const request_rec *r)
{
    for (r = r->prev; r; r = r->prev) {
        edge_request *own = ap_get_module_config(r->request_config, &edge_module);

        if (own) {
            edge_collapse_end(own);
        }
    }
}

edge_building edge_collapse_begin(request_rec *r, edge_request *own,
                                  const unsigned char key[EDGE_STORE_KEY], edge_build *build)
{
    edge_building whose;

    end_before(r);
    edge_collapse_end(own);
    whose = edge_builders_begin(edge_segment_builders(), key, own->epoch, og_clock_mono(), build);
    if (whose == EDGE_BUILDING_MINE) {
        own->pool = r->pool;
        own->building = apr_pmemdup(r->pool, build, sizeof(*build));
        apr_pool_cleanup_register(r->pool, own->building, give_up, apr_pool_cleanup_null);
    }
    return whose;
}

int edge_collapse_wait(const edge_build *build, apr_time_t until)
{
    apr_interval_time_t left = until - og_clock_mono();
    int may = left > 0 && atomic_fetch_add(&waiting, 1) < most;

    if (may) {
        edge_builders_wait(edge_segment_builders(), build, left);
    }
    if (left > 0) {
        atomic_fetch_sub(&waiting, 1);
    }
    return may;
}

/* mod_cache's filter has left when it decided not to keep the answer, and went with all others when
 * there was an error: who waits need not wait for the client to have read it. An origin that fails
 * may not fail the next time, and is to be spared until then. */
static int egress(request_rec *r, int trusted)
{
    edge_request *own = edge_request_of(r);

    if (own && own->building && !edge_is_saved(r)) {
        if (ap_is_HTTP_SERVER_ERROR(r->status)) {
            edge_collapse_end(own);
        }
        else {
            edge_collapse_refuse(own);
        }
    }
    return DECLINED;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int threads = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    most = threads > 1 ? threads / 2 : 1;
}

void edge_collapse_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(tenant, egress, egress, NULL, NULL, APR_HOOK_LAST);
}
