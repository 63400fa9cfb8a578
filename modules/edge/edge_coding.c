/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Accept-Encoding, see edge_coding.h. The compressors' own scan takes the first name that it knows,
 * whatever its weight (httpd-facts.md 6). */
#include "edge_coding.h"

#include <apr.h>

#include <string.h>
#include <strings.h>

const char *edge_coding_name(edge_coding coding)
{
    static const char *const names[EDGE_CODINGS] = { "identity", "gzip", "br" };

    return names[coding];
}

/* Weights are thousandths; -1: not named. */
typedef struct {
    int of[EDGE_CODINGS];
    int any; /* "*" */
} weights;

/* "1", "0.85": digits behind the point, three of them. -1 when it is none */
static int weight(const char *text, const char *end)
{
    int value, digit = 100;

    if (text == end || (*text != '0' && *text != '1')) {
        return -1;
    }
    value = (*text++ - '0') * 1000;
    if (text < end && *text == '.') {
        for (text++; text < end && *text >= '0' && *text <= '9'; text++) {
            value += (*text - '0') * digit;
            digit /= 10;
        }
    }
    return text == end && value <= 1000 ? value : -1;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return at;
}

static int is_name(const char *at, apr_size_t len, const char *name)
{
    return strlen(name) == len && !strncasecmp(at, name, len);
}

/* One element of the list, without the blanks around it. What can't be read stands for nothing. */
static void take(weights *all, const char *at, const char *end)
{
    apr_size_t len = 0;
    int q = 1000;
    int i;

    while (at + len < end && !strchr(" \t;", at[len])) {
        len++;
    }
    if (at + len < end) {
        const char *rest = skip_blanks(at + len, end);

        if (rest < end && *rest == ';') {
            rest = skip_blanks(rest + 1, end);
            q = end - rest > 2 && (*rest == 'q' || *rest == 'Q') && rest[1] == '='
                    ? weight(rest + 2, end)
                    : -1;
        }
        else if (rest < end) {
            q = -1;
        }
    }
    if (q < 0) {
        return;
    }
    if (is_name(at, len, "*")) {
        all->any = q;
        return;
    }
    for (i = 0; i < EDGE_CODINGS; i++) {
        if (is_name(at, len, edge_coding_name((edge_coding)i))
            || (i == EDGE_GZIP && is_name(at, len, "x-gzip"))) {
            all->of[i] = q;
        }
    }
}

static void read_list(weights *all, const char *accept)
{
    while (*accept) {
        const char *end = accept + strcspn(accept, ","), *last = end;

        accept = skip_blanks(accept, end);
        while (last > accept && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }
        if (last > accept) {
            take(all, accept, last);
        }
        accept = *end ? end + 1 : end;
    }
}

edge_coding edge_coding_choose(const char *accept, unsigned available, int *no_identity)
{
    weights all = { { -1, -1, -1 }, -1 };
    edge_coding best = EDGE_IDENTITY;
    int best_weight = 0, i;

    read_list(&all, accept ? accept : "");
    *no_identity = all.of[EDGE_IDENTITY] == 0 || (all.of[EDGE_IDENTITY] < 0 && all.any == 0);
    for (i = EDGE_IDENTITY + 1; i < EDGE_CODINGS; i++) {
        int q = all.of[i] >= 0 ? all.of[i] : all.any;

        if ((available & 1U << i) && q > 0 && q >= best_weight) {
            best = (edge_coding)i;
            best_weight = q;
        }
    }
    /* identity that is not named is the last resort; one that is may be liked better */
    return all.of[EDGE_IDENTITY] > best_weight ? EDGE_IDENTITY : best;
}
