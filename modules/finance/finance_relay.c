/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The relay: publishes the events that a crash left in the outbox (decisions.md 21, realtime.md),
 * and outdates what the same writes changed.
 *
 * A request publishes its event right after its commit and only remembers that the row is done;
 * the marks are written once a second by each child. A row that stays unmarked for RELAY_AFTER was
 * lost with its child: one relay (a watchdog singleton of the host, an advisory lock over hosts)
 * publishes it. A row can be published twice, by a request whose mark came late and by the relay:
 * the store drops a known eventId, and delivery is at least once anyway. A write moves its tags
 * before it publishes, so one whose event is missing may not have moved them: the relay does,
 * first. The rows of a transaction have its organisation and its time in common, in both outboxes.
 *
 * Lock: marks_lock guards the list of marks; it is never held across I/O. */
#include "finance.h"

#include "rest_watchdog.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#define INTERVAL    APR_USEC_PER_SEC
#define RELAY_AFTER "2 seconds"
#define BATCH       "500"

/* More than a child commits a second; what does not fit is published again by the relay */
#define MARKS_MAX 4096

static struct {
    apr_thread_mutex_t *lock;
    apr_int64_t ids[MARKS_MAX]; /* under lock */
    int count;                  /* under lock */
} marks;

static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_status_t rv = apr_thread_mutex_create(&marks.lock, APR_THREAD_MUTEX_DEFAULT, p);

    if (rv != APR_SUCCESS) {
        marks.lock = NULL;
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, OGLOGNO(1604)
                     "no lock for this child's marks: the relay publishes its events again");
    }
}

void finance_relay_mark(apr_int64_t outbox_id)
{
    if (!marks.lock) {
        return;
    }
    apr_thread_mutex_lock(marks.lock);
    if (marks.count < MARKS_MAX) {
        marks.ids[marks.count++] = outbox_id;
    }
    apr_thread_mutex_unlock(marks.lock);
}

/* What was marked since the last time, as an array literal; NULL for nothing. */
static const char *take_marks(apr_pool_t *p, int *count)
{
    const char *ids = NULL;

    if (!marks.lock) {
        return NULL;
    }
    apr_thread_mutex_lock(marks.lock);
    *count = marks.count;
    if (marks.count) {
        ids = finance_int_array(p, marks.ids, marks.count);
    }
    apr_thread_mutex_unlock(marks.lock);
    return ids;
}

/* The first count marks are in the database: those that came meanwhile move up. */
static void drop_marks(int count)
{
    apr_thread_mutex_lock(marks.lock);
    marks.count -= count;
    memmove(marks.ids, marks.ids + count, (size_t)marks.count * sizeof(marks.ids[0]));
    apr_thread_mutex_unlock(marks.lock);
}

static const char mark_sql[] =
    "UPDATE event_outbox SET published_at = now() WHERE id = ANY ($1::bigint[])";

static void write_marks(apr_pool_t *p, const server_rec *s)
{
    int count = 0;
    const char *ids = take_marks(p, &count);
    rest_tx_stmt stmt = { mark_sql, 1, &ids };
    const PGresult *res;
    rest_tx *tx;

    if (ids && finance_db_begin_job(p, s, &tx) == REST_DB_OK
        && rest_tx_finish(tx, &stmt, 1, &res) == REST_DB_OK) {
        drop_marks(count);
    }
}

/* Subscribers get an event's data as it is. A request's was made by us; of a row of the outbox that
 * is to be seen. */
static int is_json(apr_pool_t *p, const rt_event *event)
{
    return event->data_len <= RT_EVENT_DATA_MAX
           && og_json_load(p, event->data, event->data_len, NULL);
}

/* Publishes rows and returns the ids of those that are done, as an array literal; NULL for none. */
static const char *publish_rows(apr_pool_t *p, const server_rec *s, const PGresult *rows)
{
    APR_OPTIONAL_FN_TYPE(rt_publish) *publish = finance_effects_publisher();
    int n = PQntuples(rows), done = 0, i;
    apr_int64_t *ids = apr_palloc(p, (apr_size_t)n * sizeof(*ids));

    for (i = 0; i < n; i++) {
        const char *domain = finance_text(rows, i, 3);
        rt_event event = { apr_atoi64(finance_text(rows, i, 1)),
                           apr_atoi64(finance_text(rows, i, 2)),
                           finance_text(rows, i, 4),
                           finance_text(rows, i, 5),
                           finance_field(rows, i, 6),
                           finance_text(rows, i, 7),
                           (apr_size_t)PQgetlength(rows, i, 7),
                           apr_atoi64(finance_text(rows, i, 8)) };
        apr_status_t rv = is_json(p, &event) ? publish(domain, &event, NULL) : APR_EINVAL;

        if (rv == APR_SUCCESS || APR_STATUS_IS_EINVAL(rv)) {
            ids[done++] = apr_atoi64(finance_text(rows, i, 0));
        }
        if (APR_STATUS_IS_EINVAL(rv)) {
            /* it will never be accepted: marked, or it would be tried for ever */
            ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                         OGLOGNO(1605) "event %.64s of domain %.32s can't be published: no "
                                       "RealtimeDomain of that name, "
                                       "past its bounds, or no JSON",
                         event.id, domain);
        }
    }
    return done ? finance_int_array(p, ids, done) : NULL;
}

static const char tags_sql[] =
    "SELECT DISTINCT unnest(purge.keys) FROM event_outbox AS event JOIN purge_outbox AS purge"
    " ON purge.org_id = event.org_id AND purge.created_at = event.created_at"
    " WHERE event.id = ANY ($1::bigint[])";

/* The tags of the writes that rows are of; 0: the database failed, and nothing was moved. */
static int move_tags(apr_pool_t *p, rest_tx *tx, const PGresult *rows)
{
    apr_array_header_t *tags = apr_array_make(p, 16, sizeof(const char *));
    int n = PQntuples(rows), i;
    apr_int64_t *ids = apr_palloc(p, (apr_size_t)n * sizeof(*ids));
    const PGresult *found;
    const char *list;

    for (i = 0; i < n; i++) {
        ids[i] = apr_atoi64(finance_text(rows, i, 0));
    }
    list = finance_int_array(p, ids, n);
    if (rest_tx_exec(tx, tags_sql, 1, &list, &found) != REST_DB_OK) {
        return 0;
    }
    for (i = 0; i < PQntuples(found); i++) {
        APR_ARRAY_PUSH(tags, const char *) = finance_text(found, i, 0);
    }
    finance_tags_move(tags);
    return 1;
}

static void relay(apr_pool_t *p, const server_rec *s)
{
    /* a time that no event can have, an infinite one for instance, holds nobody up: 0 is now */
    static const rest_tx_stmt take[] = {
        { "SELECT pg_try_advisory_xact_lock(hashtextextended('orgscale event relay', 0))", 0,
          NULL },
        { "SELECT id, org_id, property_id, domain, type, event_id, coalesce_key, data,"
          " CASE WHEN created_at BETWEEN 'epoch' AND now()"
          " THEN (extract(epoch FROM created_at) * 1000)::bigint ELSE 0 END FROM event_outbox"
          " WHERE published_at IS NULL"
          " AND (created_at < now() - interval '" RELAY_AFTER "' OR created_at = 'infinity')"
          " ORDER BY id LIMIT " BATCH,
          0, NULL }
    };
    const PGresult *res[2], *marked;
    const char *ids;
    rest_tx *tx;

    if (!finance_effects_publisher() || finance_db_begin_job(p, s, &tx) != REST_DB_OK
        || rest_tx_batch(tx, take, 2, res) != REST_DB_OK) {
        return;
    }
    if (!strcmp(finance_text(res[0], 0, 0), "t") && PQntuples(res[1])
        && move_tags(p, tx, res[1])) {
        ids = publish_rows(p, s, res[1]);
        if (ids) {
            rest_tx_stmt mark = { mark_sql, 1, &ids };

            ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, OGLOGNO(1606)
                         "the relay published %d events that were left in the outbox",
                         PQntuples(res[1]));
            rest_tx_finish(tx, &mark, 1, &marked);
        }
    }
    rest_tx_rollback(tx);
}

void finance_relay_flush(const server_rec *s)
{
    apr_pool_t *p;

    if (apr_pool_create(&p, NULL) == APR_SUCCESS) {
        write_marks(p, s);
        apr_pool_destroy(p);
    }
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    if (finance_conf(s)->job_dsn
        && (!rest_watchdog_add(s, pconf, "finance-marks", "FinanceJobDSN", 0, INTERVAL, write_marks)
            || !rest_watchdog_add(s, pconf, "finance-relay", "FinanceJobDSN", 1, INTERVAL,
                                  relay))) {
        return !OK;
    }
    return OK;
}

void finance_relay_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
    /* before mod_watchdog counts its instances (APR_HOOK_LAST) */
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
