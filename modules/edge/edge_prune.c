/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Pruning, see edge_prune.h. One walk over the text; in front of it, where the text is an object
 * that may be an envelope, one up to the member that says so, which is the first of ours. */
#include "edge_prune.h"

#include "edge_scan.h"

#include <apr_strings.h>
#include <string.h>

/* A name of elements' members, when it was first met. */
typedef struct met_name {
    const char *text;
    apr_size_t len;
} met_name;

typedef struct work {
    edge_scan scan;
    const edge_selection *selection;
    char *out; /* as long as the text: what is kept is part of it. NULL: nothing is */
    apr_size_t len;
    apr_uint32_t met;    /* fields, by index: an object had a member of that name */
    apr_uint32_t looked; /* fields: there was an object to look for their members in */
    int elements;        /* objects that the selection is of */
    met_name names[EDGE_PRUNE_AVAILABLE_MAX];
    int name_count, name_next;
    edge_pruned *result;
    apr_size_t returned[EDGE_SELECTOR_NAMES_MAX + 1]; /* lengths of result->returned */
} work;

static int is_in(apr_uint32_t set, const edge_field *field)
{
    return (int)(set >> field->index & 1);
}

static void add_to(apr_uint32_t *set, const edge_field *field)
{
    *set |= (apr_uint32_t)1 << field->index;
}

static void put(work *w, const char *bytes, apr_size_t len)
{
    if (w->out) {
        memcpy(w->out + w->len, bytes, len);
        w->len += len;
    }
}

/* A value as it stands */
static int keep(work *w)
{
    const char *from = w->scan.at;

    if (!edge_scan_value(&w->scan)) {
        return 0;
    }
    put(w, from, (apr_size_t)(w->scan.at - from));
    return 1;
}

/* Elements are mostly alike: the name behind the last one is looked at first. */
static void note_available(work *w, const edge_scan_name *name)
{
    int i;

    for (i = 0; i < w->name_count; i++) {
        int at = (w->name_next + i) % w->name_count;

        if (w->names[at].len == name->len && !memcmp(w->names[at].text, name->text, name->len)) {
            w->name_next = at + 1;
            return;
        }
    }
    if (w->name_count < EDGE_PRUNE_AVAILABLE_MAX && edge_field_is_name(name->text, name->len)) {
        w->names[w->name_count].text = name->text;
        w->names[w->name_count++].len = name->len;
        w->name_next = w->name_count;
    }
}

static void note_returned(work *w, const edge_scan_name *name)
{
    apr_array_header_t *list = w->result->returned;
    int i;

    for (i = 0; i < list->nelts; i++) {
        if (w->returned[i] == name->len
            && !memcmp(APR_ARRAY_IDX(list, i, const char *), name->text, name->len)) {
            return;
        }
    }
    w->returned[list->nelts] = name->len;
    APR_ARRAY_PUSH(list, const char *) = apr_pstrmemdup(list->pool, name->text, name->len);
}

static int is_id(const edge_scan_name *name)
{
    return name->len == 2 && name->text[0] == 'i' && name->text[1] == 'd';
}

static int is_expandable(char c)
{
    return c == '{' || c == '[' || c == 'n';
}

/* Of an element's member whose value is next: whether it is kept. */
static int is_asked_for(work *w, const edge_scan_name *name, const edge_field *field)
{
    const edge_field *expand = edge_field_find(w->selection->expand, name->text, name->len);
    int kept;

    note_available(w, name);
    if (expand) {
        add_to(&w->met, expand);
    }
    kept = field || is_id(name) || (expand && is_expandable(edge_scan_peek(&w->scan)));
    if (kept) {
        note_returned(w, name);
    }
    return kept;
}

static int prune_value(work *w, const edge_field *parent);

/* A member behind its name. first: none was kept before it */
static int prune_member(work *w, const edge_scan_name *name, const edge_field *field, int first)
{
    put(w, ",", !first);
    put(w, name->raw, name->raw_len);
    put(w, ":", 1);
    return field && field->members ? prune_value(w, field) : keep(w);
}

/* Into an object; parent: whose members are asked for, NULL: an element's */
static int prune_object(work *w, const edge_field *parent)
{
    edge_scan_level level;
    edge_scan_name name;
    int more, first = 1;

    if (parent) {
        add_to(&w->looked, parent);
    }
    if (!edge_scan_enter(&w->scan, &level)) {
        return 0;
    }
    put(w, "{", 1);
    while ((more = edge_scan_next(&w->scan, &level, &name)) > 0) {
        const edge_field *list = parent ? parent->members : w->selection->fields;
        const edge_field *field = edge_field_find(list, name.text, name.len);
        int kept = parent ? field != NULL : is_asked_for(w, &name, field);

        if (field) {
            add_to(&w->met, field);
        }
        if (!(kept ? prune_member(w, &name, field, first) : edge_scan_value(&w->scan))) {
            return 0;
        }
        first = first && !kept;
    }
    put(w, "}", 1);
    return more == 0;
}

static int prune_array(work *w, const edge_field *parent)
{
    edge_scan_level level;
    edge_scan_name none;
    int more, first = 1;

    if (!edge_scan_enter(&w->scan, &level)) {
        return 0;
    }
    put(w, "[", 1);
    while ((more = edge_scan_next(&w->scan, &level, &none)) > 0) {
        int is_object = edge_scan_peek(&w->scan) == '{';

        put(w, ",", !first);
        first = 0;
        w->elements += is_object && !parent;
        if (!(is_object ? prune_object(w, parent) : keep(w))) {
            return 0;
        }
    }
    put(w, "]", 1);
    return more == 0;
}

static int prune_value(work *w, const edge_field *parent)
{
    switch (edge_scan_peek(&w->scan)) {
    case '{':
        return prune_object(w, parent);
    case '[':
        return prune_array(w, parent);
    default:
        return keep(w);
    }
}

static int is_envelope_name(const edge_scan_name *name, const char *envelope)
{
    return strlen(envelope) == name->len && !memcmp(envelope, name->text, name->len);
}

/* Whether the object that is next has an array of the envelope's name. What is malformed has none
 * here, and is found out by the walk itself. */
static int is_envelope(const work *w, const char *envelope)
{
    edge_scan scan;
    edge_scan_level level;
    edge_scan_name name;

    edge_scan_init(&scan, w->scan.pool, w->scan.at, (apr_size_t)(w->scan.end - w->scan.at));
    if (!envelope || !edge_scan_enter(&scan, &level)) {
        return 0;
    }
    while (edge_scan_next(&scan, &level, &name) > 0) {
        if (is_envelope_name(&name, envelope)) {
            return edge_scan_peek(&scan) == '[';
        }
        if (!edge_scan_value(&scan)) {
            return 0;
        }
    }
    return 0;
}

static int prune_envelope(work *w, const char *envelope)
{
    edge_scan_level level;
    edge_scan_name name;
    int more, first = 1;

    if (!edge_scan_enter(&w->scan, &level)) {
        return 0;
    }
    put(w, "{", 1);
    while ((more = edge_scan_next(&w->scan, &level, &name)) > 0) {
        put(w, ",", !first);
        first = 0;
        put(w, name.raw, name.raw_len);
        put(w, ":", 1);
        if (!(is_envelope_name(&name, envelope) ? prune_array(w, NULL) : keep(w))) {
            return 0;
        }
    }
    put(w, "}", 1);
    return more == 0;
}

static int prune_text(work *w, const char *envelope)
{
    char c = edge_scan_peek(&w->scan);
    int good;

    if (c == '{' && is_envelope(w, envelope)) {
        good = prune_envelope(w, envelope);
    }
    else {
        w->elements = c == '{';
        good = prune_value(w, NULL);
    }
    if (good && !edge_scan_done(&w->scan)) {
        w->scan.why = "something stands behind it";
        good = 0;
    }
    return good;
}

/* Names that no object has which could have had them. prefix: "a." */
static void note_unknown(work *w, const edge_field *list, const char *prefix)
{
    for (; list; list = list->next) {
        if (!is_in(w->met, list)) {
            APR_ARRAY_PUSH(w->result->unknown, const char *) =
                apr_pstrcat(w->scan.pool, prefix, list->name, NULL);
        }
        else if (list->members && is_in(w->looked, list)) {
            note_unknown(w, list->members,
                         apr_pstrcat(w->scan.pool, prefix, list->name, ".", NULL));
        }
    }
}

static void finish(work *w)
{
    edge_pruned *out = w->result;
    const edge_field *each;
    int i;

    for (i = 0; i < w->name_count; i++) {
        APR_ARRAY_PUSH(out->available, const char *) =
            apr_pstrmemdup(w->scan.pool, w->names[i].text, w->names[i].len);
    }
    if (!w->elements) {
        return;
    }
    note_unknown(w, w->selection->fields, "");
    for (each = w->selection->expand; each; each = each->next) {
        if (!is_in(w->met, each) && !edge_field_find(w->selection->fields, each->name, each->len)) {
            APR_ARRAY_PUSH(out->unknown, const char *) = each->name;
        }
    }
}

edge_prune_verdict edge_prune(apr_pool_t *p, const char *text, apr_size_t len, const char *envelope,
                              const edge_selection *selection, edge_pruned *out)
{
    work *w = apr_pcalloc(p, sizeof(*w));

    memset(out, 0, sizeof(*out));
    out->returned = apr_array_make(p, 8, sizeof(const char *));
    out->available = apr_array_make(p, 32, sizeof(const char *));
    out->unknown = apr_array_make(p, 1, sizeof(const char *));
    edge_scan_init(&w->scan, p, text, len);
    w->selection = selection;
    w->result = out;
    w->out = selection->fields ? apr_palloc(p, len ? len : 1) : NULL;
    if (!prune_text(w, envelope)) {
        out->why = w->scan.why;
        return EDGE_PRUNE_MALFORMED;
    }
    finish(w);
    out->body = w->out ? w->out : text;
    out->len = w->out ? w->len : len;
    return out->unknown->nelts ? EDGE_PRUNE_UNKNOWN : EDGE_PRUNED;
}
