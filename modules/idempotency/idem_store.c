/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The store that IdempotencyStore names, asked with a deadline. A store that does not answer lets
 * nobody run (decisions.md 23); a claim whose end it did not take is left to the janitor. */
#include "idem.h"

#include "og_clock.h"
#include "rest_idempotency.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_core.h>
#include <openssl/rand.h>

/* parent, then inherited: of this generation's configuration */
static const idempotency_store *store;

/* child: */
static idem_janitor *janitor;

static const char *missing(void)
{
    store = ap_lookup_provider(IDEMPOTENCY_STORE_GROUP, idem_conf()->store,
                               IDEMPOTENCY_STORE_VERSION);
    if (!store) {
        return "expected shm, or the LoadModule of who provides it";
    }
    if (store->transactional) {
        return "expected a store of keys alone, such as shm: this one has them in the transactions "
               "of a handler that writes through it";
    }
    return store->ready ? store->ready() : NULL;
}

/* Once all modules have their say: load order is free. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const char *wrong = idem_used() ? missing() : NULL;

    if (wrong) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(1205) "IdempotencyStore %s: %s",
                     idem_conf()->store, wrong);
    }
    return wrong ? !OK : OK;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    janitor = NULL;
    if (!idem_used()) {
        return;
    }
    janitor = idem_janitor_start(store, p);
    if (!janitor) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, OGLOGNO(1206)
                     "no thread for the store of keys: this child's requests with keys get 503 "
                     "(ulimit -u, TasksMax)");
    }
}

void idem_store_register(apr_pool_t *p)
{
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
}

static int unavailable(request_rec *r, apr_status_t rv, rest_problem *problem)
{
    static const rest_problem down = {
        HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
        "Idempotency keys can't be checked now. Nothing was done. Please retry later.", NULL, 5
    };

    if (APR_STATUS_IS_ENOSPC(rv)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, OGLOGNO(1207)
                      "the store of keys is full: a request with a new key is refused "
                      "(IdempotencyMemory, IdempotencyTTL)");
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, OGLOGNO(1208)
                      "the store of keys does not answer: a request with a key is refused "
                      "(IdempotencyStore)");
    }
    *problem = down;
    return 0;
}

void idem_store_untrue(request_rec *r, rest_problem *problem)
{
    static const rest_problem untrue = { HTTP_INTERNAL_SERVER_ERROR, "internal_error",
                                         "The stored answer can't be read.", NULL, 0 };

    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, OGLOGNO(1209)
                  "the store of keys has an answer that is none of ours: not passed on "
                  "(IdempotencyStore)");
    *problem = untrue;
}

/* The request ends in whatever way: its claim does not outlive it. */
static apr_status_t abandon(void *data)
{
    request_rec *r = data;

    idem_store_doubt(r, idem_request_of(r));
    return APR_SUCCESS;
}

int idem_store_begin(request_rec *r, idem_request *own, idempotency_found *found,
                     rest_problem *problem)
{
    idempotency_claim *claim = &own->claim;
    apr_status_t rv = APR_EGENERAL;

    claim->lease = own->conf.lease;
    claim->ttl = own->conf.ttl;
    claim->answer_max = (apr_size_t)own->conf.max_answer;
    claim->retry = own->conf.retry;
    claim->retry_pause = own->conf.retry_pause;
    memset(found, 0, sizeof(*found));
    if (janitor && RAND_bytes(claim->token, sizeof(claim->token)) == 1) {
        rv = store->begin(claim, og_clock_mono() + IDEM_STORE_WITHIN, r->pool, found);
    }
    if (rv != APR_SUCCESS) {
        return unavailable(r, rv, problem);
    }
    if (found->verdict == IDEMPOTENCY_NEW) {
        own->running = 1;
        own->watch = idem_janitor_watch(janitor, claim);
        apr_pool_cleanup_register(r->pool, r, abandon, apr_pool_cleanup_null);
    }
    return 1;
}

/* The store has the claim's end, or the janitor sees to it that it gets it. */
static void ended(request_rec *r, idem_request *own, apr_status_t rv, idem_owed owed)
{
    own->running = 0;
    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, OGLOGNO(1210)
                      "the store of keys did not take the end of a request: its key is in doubt, "
                      "or will be free a little later (IdempotencyStore)");
    }
    idem_janitor_end(janitor, own->watch,
                     rv == APR_SUCCESS || rv == APR_NOTFOUND ? IDEM_OWES_NOTHING : owed);
}

void idem_store_finish(request_rec *r, idem_request *own, const char *answer, apr_size_t len)
{
    if (own->running) {
        ended(r, own,
              store->finish(&own->claim, answer, len, og_clock_mono() + IDEM_STORE_WITHIN),
              IDEM_OWES_DOUBT);
    }
}

void idem_store_doubt(request_rec *r, idem_request *own)
{
    if (own->running) {
        ended(r, own, store->doubt(&own->claim, og_clock_mono() + IDEM_STORE_WITHIN),
              IDEM_OWES_DOUBT);
    }
}

void idem_store_release(request_rec *r, idem_request *own)
{
    if (own->running) {
        ended(r, own, store->release(&own->claim, og_clock_mono() + IDEM_STORE_WITHIN),
              IDEM_OWES_RELEASE);
    }
}
