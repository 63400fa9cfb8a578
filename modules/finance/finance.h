/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/finance: what its files share. */
#ifndef FINANCE_H
#define FINANCE_H

#include "mod_realtime_lp.h"
#include "mod_tenant.h"
#include "og_json.h"
#include "og_log.h"
#include "rest_answer.h"
#include "rest_idempotency.h"
#include "rest_problem.h"
#include "rest_route.h"
#include "rest_tx.h"

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

extern module AP_MODULE_DECLARE_DATA finance_module;
APLOG_USE_MODULE(finance);

/* finance_config.c: the server's configuration; one database for the whole server */

typedef struct finance_server_conf {
    const char *dsn;               /* FinanceDSN; NULL: mod_finance is off */
    const char *job_dsn;           /* FinanceJobDSN; NULL: no relay, no retention */
    const char *event_domain;      /* FinanceEventDomain */
    apr_int64_t pool_max;          /* FinancePoolMax */
    apr_interval_time_t pool_wait; /* FinancePoolWait */
    apr_interval_time_t deadline;  /* FinanceDeadline */
} finance_server_conf;

extern const command_rec finance_cmds[];
void *finance_server_create(apr_pool_t *p, server_rec *s);
void *finance_server_merge(apr_pool_t *p, void *basev, void *addv);
const finance_server_conf *finance_conf(const server_rec *s);
const char *finance_event_domain(const server_rec *s); /* FinanceEventDomain or its default */
void finance_config_register(apr_pool_t *p);

/* finance_routes.c: the handler; a request as its actions see it */

typedef struct finance_call {
    request_rec *r;
    const tenant_identity *caller;
    const apr_array_header_t *query; /* of rest_param */
    rest_match match;
} finance_call;

void finance_routes_register(apr_pool_t *p);

/* finance_db.c: the child's connections */

void finance_db_register(apr_pool_t *p);

/* A transaction of the caller's, in r->pool, bound by FinanceDeadline from now. */
rest_db_status finance_db_begin(const finance_call *call, int read_only, rest_tx **tx);

/* A transaction of a job's, across organisations; REST_DB_DOWN where FinanceJobDSN is not set. */
rest_db_status finance_db_begin_job(apr_pool_t *p, const server_rec *s, rest_tx **tx);

/* What a status other than REST_DB_OK means to the client; logs what is our own fault. */
int finance_db_problem(const finance_call *call, rest_db_status status, const rest_tx *tx);

/* The database said what its schema rules out, of `what`: it is logged and goes no further. */
void finance_db_untrue(const finance_call *call, const char *what, rest_problem *problem);

/* finance_access.c: who may do what with which property */

typedef enum {
    FINANCE_ALLOWED,
    FINANCE_FORBIDDEN, /* of the caller's org, but not granted */
    FINANCE_ABSENT     /* not of the caller's org: as if it did not exist */
} finance_access;

/* Whether the caller's role has tenant data at all; 0 and *problem otherwise. */
int finance_access_role(const tenant_identity *caller, rest_problem *problem);

/* Problems of an access that is not FINANCE_ALLOWED. */
void finance_access_problem(finance_access access, const char *what, rest_problem *problem);

/* finance_expense_row.c: the members of an expense, in SQL and in JSON */

enum finance_expense_member {
    EXPENSE_ID,
    EXPENSE_PROPERTY_ID,
    EXPENSE_PROPERTY_NAME,
    EXPENSE_STATUS,
    EXPENSE_CATEGORY,
    EXPENSE_VENDOR,
    EXPENSE_DESCRIPTION,
    EXPENSE_NOTES,
    EXPENSE_AMOUNT_CENTS,
    EXPENSE_CURRENCY,
    EXPENSE_PAYMENT_MODE,
    EXPENSE_PAYMENT_REFERENCE,
    EXPENSE_INVOICE_NUMBER,
    EXPENSE_RECEIPT_DOCUMENT_ID,
    EXPENSE_OCCURRED_AT,
    EXPENSE_BUSINESS_DATE,
    EXPENSE_CREATED_BY,
    EXPENSE_CREATED_BY_NAME,
    EXPENSE_CREATED_AT,
    EXPENSE_DECIDED_BY,
    EXPENSE_DECIDED_BY_NAME,
    EXPENSE_DECIDED_AT,
    EXPENSE_DECISION_NOTE,
    EXPENSE_UPDATED_AT,
    EXPENSE_VERSION,
    EXPENSE_MEMBERS
};

/* "SELECT …" of all members, up to and without FROM; the row is t, its property p, its creator c,
 * who decided it d. From p. */
const char *finance_expense_select(apr_pool_t *p);

/* One expense as JSON. values are texts as PostgreSQL gives them (times: microseconds since 1970),
 * NULL for SQL NULL. NULL, or the name of the first member whose value can be none of an expense:
 * then what was written is not to be used. */
const char *finance_expense_write(og_jsonw *w, const char *const values[EXPENSE_MEMBERS]);

/* The same of a row of finance_expense_select(). */
const char *finance_expense_write_row(og_jsonw *w, const PGresult *res, int row);

/* finance_expense_list.c, finance_expense_get.c, finance_expense_create.c: the actions */

int finance_expense_list(finance_call *call);
int finance_expense_get(finance_call *call);
int finance_expense_create(finance_call *call);

/* finance_expense_input.c: the body of a POST */

typedef struct finance_expense_input {
    apr_int64_t property;
    apr_int64_t amount_cents;
    apr_int64_t receipt_document; /* 0: none */
    apr_time_t occurred_at;       /* 0: now */
    const char *category, *vendor, *description, *notes;
    const char *currency, *payment_mode, *payment_reference, *invoice_number;
} finance_expense_input;

/* Check a body member by member. 1, or 0 and a validation_failed problem that names each one. */
int finance_expense_input_read(apr_pool_t *p, const json_t *body, apr_time_t now,
                               finance_expense_input *input, rest_problem *problem);

/* finance_idempotency.c: the store "dbd" of mod_idempotency.h, rows in the write's transaction */

#define FINANCE_KEY_TTL apr_time_from_sec(86400)

/* Statements that travel with the store's own, at most: a row and its effects */
#define FINANCE_WITH_MAX (FINANCE_EFFECT_STMTS + 1)

/* What claim->context is to the store. Each call makes one round trip, and takes along what is to
 * be done behind the claim (begin), or in front of the COMMIT (finish). */
typedef struct finance_keeping {
    const finance_call *call;
    rest_tx *tx;
    const rest_tx_stmt *with;
    int count;             /* of them */
    const PGresult **res;  /* theirs, in order */
    apr_int64_t entity;    /* finish: id of what was made, 0: none */
    rest_db_status status; /* of a call that failed; REST_DB_OK: the database said nonsense … */
    rest_problem problem;  /* … and this is the answer */
    int running;           /* the store's: begin() said IDEMPOTENCY_NEW */
    apr_time_t begun;      /* begin() did, by og_clock_mono(): now() of the database is later */
} finance_keeping;

extern const idempotency_store finance_keys;
void finance_idempotency_register(apr_pool_t *p);

/* finance_recall.c: answers of the store, remembered on this host where mod_idempotency does */

void finance_recall_register(apr_pool_t *p);

/* The answer to this request, which was committed before. 1, or 0: the database decides. */
int finance_recall(apr_pool_t *p, const idempotency_claim *claim, rest_answer *answer);

/* The database says that it has this answer to the request, and will have it for so long from a
 * time of og_clock_mono(). */
void finance_remember(const idempotency_claim *claim, const char *bytes, apr_size_t len,
                      apr_time_t from, apr_interval_time_t left);

/* finance_effects.c: what a write leaves besides the change, and what follows its commit */

typedef struct finance_effects {
    const char *action;       /* "expense.created": event type and audit action */
    const char *resource;     /* "expense" */
    apr_int64_t id;           /* of the row */
    apr_int64_t property;
    const char *date;         /* its business day, YYYY-MM-DD */
    const char *data;         /* the row as JSON */
    const char *event_id;     /* set by finance_effects_stmts() */
    const char *coalesce_key; /* likewise */
} finance_effects;

/* event outbox (its result holds the outbox id), purge outbox, audit */
#define FINANCE_EFFECT_STMTS 3

/* Fill the statements. 1, or 0 when the system has no randomness for an event id. */
int finance_effects_stmts(const finance_call *call, finance_effects *effects,
                          rest_tx_stmt stmts[FINANCE_EFFECT_STMTS]);

/* After the commit: publish at once. What fails here the relay does later. */
void finance_effects_committed(const finance_call *call, const finance_effects *effects,
                               const PGresult *outbox);

void finance_effects_register(apr_pool_t *p);

/* rt_publish, or NULL without mod_realtime_lp. */
APR_OPTIONAL_FN_TYPE(rt_publish) *finance_effects_publisher(void);

/* finance_tags.c: P§26.3's keys of what answers show and writes outdate */

/* Of everything that shows a row, of const char *; from the request's pool. */
apr_array_header_t *finance_tags_of(const finance_call *call, const finance_effects *effects);

/* What was cached under them is outdated, in all processes, when it returns. */
void finance_tags_move(const apr_array_header_t *tags);

/* Whether a good answer may be kept: mod_edge says so, if anybody does. */
void finance_tags_say(request_rec *r);
void finance_tags_register(apr_pool_t *p);

/* finance_relay.c: events that a crash left in the outbox; finance_retention.c: old rows */

void finance_relay_register(apr_pool_t *p);
void finance_retention_register(apr_pool_t *p);

/* Write the marks that are left: the child ends, and no job runs any more. */
void finance_relay_flush(const server_rec *s);

/* An outbox row that was published: its mark is written within a second. Any thread. */
void finance_relay_mark(apr_int64_t outbox_id);

/* finance_values.c: statement parameters */

/* value as text, from p. */
const char *finance_int(apr_pool_t *p, apr_int64_t value);

/* ids as a PostgreSQL array literal, "{1,2}", from p. */
const char *finance_int_array(apr_pool_t *p, const apr_int64_t *ids, int count);

/* A result's field; NULL for SQL NULL, and for a field that the result does not have. */
const char *finance_field(const PGresult *res, int row, int column);

/* The same, "" in place of NULL. */
const char *finance_text(const PGresult *res, int row, int column);

/* A result's field as a number from 0 to max. 1, or 0 when it is none. */
int finance_number(const PGresult *res, int row, int column, apr_int64_t max, apr_int64_t *value);

#endif /* FINANCE_H */
