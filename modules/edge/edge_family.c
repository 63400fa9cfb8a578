/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Families, see edge_family.h. */
#include "edge_family.h"

#include "og_number.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

int edge_family_name_ok(const char *text)
{
    apr_size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len && len <= EDGE_FAMILY_NAME_MAX && !text[len];
}

static const struct {
    const char *name;
    apr_size_t at;
} ages[] = {
    { "max-age=", offsetof(edge_family, max_age) },
    { "s-maxage=", offsetof(edge_family, s_maxage) },
    { "stale-while-revalidate=", offsetof(edge_family, stale_while_revalidate) },
    { "stale-if-error=", offsetof(edge_family, stale_if_error) },
    { NULL, 0 }
};

/* 1: it was an age and is set; 0: it is none; -1: an age that can't be */
static int set_age(edge_family *family, const char *word)
{
    int i;

    for (i = 0; ages[i].name; i++) {
        apr_size_t len = strlen(ages[i].name);

        if (!strncmp(word, ages[i].name, len)) {
            word += len;
            return og_int_parse((apr_int64_t *)((char *)family + ages[i].at), word, strlen(word), 0,
                                EDGE_FAMILY_AGE_MAX)
                       ? 1
                       : -1;
        }
    }
    return 0;
}

static int set_shared(edge_family *family, const char *word)
{
    static const char *const names[] = { "shared=permissions", "shared=user", "shared=public" };
    int i;

    for (i = 0; i < 3; i++) {
        if (!strcmp(word, names[i])) {
            family->shared = (edge_shared)i;
            return 1;
        }
    }
    return 0;
}

static const char *contradiction(const edge_family *family)
{
    if (family->no_store && (family->max_age || family->s_maxage || family->immutable)) {
        return "expected no-store alone, or ages without it";
    }
    if (!family->no_store && !family->max_age && !family->s_maxage) {
        return "expected no-store, or max-age or s-maxage above 0";
    }
    if (!family->s_maxage && (family->stale_while_revalidate || family->stale_if_error)) {
        return "expected s-maxage where there is stale-while-revalidate or stale-if-error";
    }
    return NULL;
}

const char *edge_family_parse(apr_pool_t *p, int argc, char *const argv[], edge_family *family)
{
    const char *name = family->name;
    int i;

    memset(family, 0, sizeof(*family));
    family->name = name;
    for (i = 0; i < argc; i++) {
        int age = set_age(family, argv[i]);

        if (age < 0) {
            return apr_psprintf(p, "expected seconds from 0 to %" APR_INT64_T_FMT
                                   ", not \"%.60s\"", EDGE_FAMILY_AGE_MAX, argv[i]);
        }
        if (age || set_shared(family, argv[i])) {
            continue;
        }
        if (!strcmp(argv[i], "immutable")) {
            family->immutable = 1;
        }
        else if (!strcmp(argv[i], "no-store")) {
            family->no_store = 1;
        }
        else {
            return apr_psprintf(p, "expected max-age=S, s-maxage=S, stale-while-revalidate=S, "
                                   "stale-if-error=S, shared=permissions|user|public, immutable or "
                                   "no-store, not \"%.60s\"", argv[i]);
        }
    }
    return contradiction(family);
}

int edge_family_kept(const edge_family *family)
{
    return !family->no_store && family->s_maxage > 0;
}

/* "public" since mod_cache keeps nothing else of a request with Authorization. No s-maxage: it
 * would forbid to serve stale on errors. */
const char *edge_family_stored(apr_pool_t *p, const edge_family *family)
{
    return edge_family_kept(family) ? apr_psprintf(p, "public, max-age=%" APR_INT64_T_FMT,
                                                   family->s_maxage)
                                    : NULL;
}

const char *edge_family_client(apr_pool_t *p, const edge_family *family)
{
    if (family->no_store) {
        return "no-store";
    }
    return apr_psprintf(p, "%s, max-age=%" APR_INT64_T_FMT "%s",
                        family->shared == EDGE_SHARED_PUBLIC ? "public" : "private",
                        family->max_age, family->immutable ? ", immutable" : "");
}

/* ", name=value", or nothing where the value is 0 */
static const char *also(apr_pool_t *p, const char *name, apr_int64_t value)
{
    return value ? apr_psprintf(p, ", %s=%" APR_INT64_T_FMT, name, value) : "";
}

/* Edges know whose organisation a request is of, and what it may see, but not who asks: what is one
 * user's is not for them. */
static int is_for_edges(const edge_family *family)
{
    return edge_family_kept(family) && family->shared != EDGE_SHARED_USER;
}

const char *edge_family_edge(apr_pool_t *p, const edge_family *family)
{
    if (!is_for_edges(family)) {
        return edge_family_client(p, family);
    }
    return apr_psprintf(p,
                        "public, max-age=%" APR_INT64_T_FMT ", s-maxage=%" APR_INT64_T_FMT "%s%s",
                        family->max_age, family->s_maxage,
                        also(p, "stale-while-revalidate", family->stale_while_revalidate),
                        family->immutable ? ", immutable" : "");
}

const char *edge_family_cdn(apr_pool_t *p, const edge_family *family)
{
    if (!is_for_edges(family)) {
        return NULL;
    }
    return apr_psprintf(p, "max-age=%" APR_INT64_T_FMT "%s%s", family->s_maxage,
                        also(p, "stale-while-revalidate", family->stale_while_revalidate),
                        also(p, "stale-if-error", family->stale_if_error));
}

void edge_family_write(apr_pool_t *p, edge_family *family)
{
    family->stored = edge_family_stored(p, family);
    family->client = edge_family_client(p, family);
    family->edge = edge_family_edge(p, family);
    family->cdn = edge_family_cdn(p, family);
}
