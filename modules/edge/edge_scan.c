/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A walk over JSON, see edge_scan.h.
 *
 * Names that were seen in open objects are a stack, and each is the head of a chain by its hash
 * when it is pushed; so popping an object's names when it closes makes of every chain what it was.
 * A name is compared with those of its chain that its own object pushed. */
#include "edge_scan.h"

#include "og_utf8.h"

#include <apr_general.h>
#include <string.h>

typedef struct edge_scan_seen {
    const char *text;
    apr_size_t len;
    unsigned int hash;
    int next; /* in its chain, -1: none */
} edge_scan_seen;

static int fail(edge_scan *scan, const char *why)
{
    scan->why = why;
    return 0;
}

void edge_scan_init(edge_scan *scan, apr_pool_t *p, const char *text, apr_size_t len)
{
    memset(scan, 0, sizeof(*scan));
    scan->pool = p;
    scan->at = text;
    scan->end = text + len;
}

char edge_scan_peek(edge_scan *scan)
{
    while (scan->at < scan->end
           && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t')) {
        scan->at++;
    }
    return scan->at < scan->end ? *scan->at : '\0';
}

int edge_scan_done(edge_scan *scan)
{
    edge_scan_peek(scan);
    return scan->at == scan->end;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind "\u"; -1: they are none */
static int code_unit(const char *at, const char *end)
{
    int value = 0, i;

    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);

        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* The code point of the escape at "\u", and how long that is; -1: it is none, or half of one */
static int code_point(const char *at, const char *end, apr_size_t *len)
{
    int high = code_unit(at + 2, end), low;

    *len = 6;
    if (high < 0xD800 || high > 0xDFFF) {
        return high;
    }
    if (high > 0xDBFF || end - at < 12 || at[6] != '\\' || at[7] != 'u') {
        return -1;
    }
    low = code_unit(at + 8, end);
    *len = 12;
    return low < 0xDC00 || low > 0xDFFF ? -1 : 0x10000 + ((high - 0xD800) << 10) + low - 0xDC00;
}

/* Length of the escape at the backslash; 0: it is none */
static apr_size_t escape_len(const char *at, const char *end)
{
    apr_size_t len;

    if (end - at < 2) {
        return 0;
    }
    if (at[1] == 'u') {
        return code_point(at, end, &len) < 0 ? 0 : len;
    }
    return at[1] && strchr("\"\\/bfnrt", at[1]) ? 2 : 0;
}

/* Over the string whose quote is next. *escapes: there are some in it */
static int walk_string(edge_scan *scan, int *escapes)
{
    const char *at = scan->at + 1;

    *escapes = 0;
    while (at < scan->end && *at != '"') {
        unsigned char c = (unsigned char)*at;
        apr_size_t len = 1;

        if (c == '\\') {
            len = escape_len(at, scan->end);
            *escapes = 1;
        }
        else if (c < 0x20) {
            len = 0;
        }
        else if (c >= 0x80) {
            len = og_utf8_len((const unsigned char *)at, (apr_size_t)(scan->end - at));
        }
        if (!len) {
            return fail(scan, "a string has bytes that can't stand in one");
        }
        at += len;
    }
    if (at == scan->end) {
        return fail(scan, "it ends in a string");
    }
    scan->at = at + 1;
    return 1;
}

static apr_size_t digits(const edge_scan *scan, const char *at)
{
    apr_size_t n = 0;

    while (at + n < scan->end && at[n] >= '0' && at[n] <= '9') {
        n++;
    }
    return n;
}

/* What stands behind a number is whoever comes next's business: "1x" ends in no "," */
static int walk_number(edge_scan *scan)
{
    const char *at = scan->at + (*scan->at == '-');
    apr_size_t n = digits(scan, at);

    if (!n || (n > 1 && *at == '0')) {
        return fail(scan, "it has something that is no value");
    }
    at += n;
    if (at < scan->end && *at == '.') {
        n = digits(scan, at + 1);
        if (!n) {
            return fail(scan, "a number has no digit behind its point");
        }
        at += n + 1;
    }
    if (at < scan->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < scan->end && (*at == '+' || *at == '-');
        n = digits(scan, at);
        if (!n) {
            return fail(scan, "a number has no digit in its exponent");
        }
        at += n;
    }
    scan->at = at;
    return 1;
}

static int walk_word(edge_scan *scan, const char *word)
{
    apr_size_t len = strlen(word);

    if ((apr_size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) {
        return fail(scan, "it has something that is no value");
    }
    scan->at += len;
    return 1;
}

static char *put_utf8(char *to, int c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
    }
    else {
        if (c < 0x10000) {
            *to++ = (char)(0xE0 | c >> 12);
        }
        else {
            *to++ = (char)(0xF0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (c & 0x3F));
    return to;
}

/* What a name with escapes means. It was walked over: its escapes are some. */
static void decode(apr_pool_t *p, edge_scan_name *name)
{
    static const char from[] = "bfnrt", means[] = "\b\f\n\r\t";
    const char *at = name->raw + 1, *end = name->raw + name->raw_len - 1;
    char *text = apr_palloc(p, name->raw_len), *to = text;

    while (at < end) {
        apr_size_t len = 2;
        const char *letter;

        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        if (at[1] == 'u') {
            to = put_utf8(to, code_point(at, end, &len));
        }
        else {
            letter = strchr(from, at[1]);
            *to++ = letter ? means[letter - from] : at[1];
        }
        at += len;
    }
    name->text = text;
    name->len = (apr_size_t)(to - text);
}

static void link_seen(edge_scan *scan, int i)
{
    int *head = &scan->heads[scan->seen[i].hash & (unsigned int)(scan->room - 1)];

    scan->seen[i].next = *head;
    *head = i;
}

static int grow(edge_scan *scan)
{
    int room = scan->room ? scan->room * 2 : 64, i;
    edge_scan_seen *seen;

    if (room > EDGE_SCAN_MEMBERS_MAX) {
        return fail(scan, "objects have more members than are kept track of");
    }
    if (!scan->room && apr_generate_random_bytes(scan->seed, sizeof(scan->seed)) != APR_SUCCESS) {
        return fail(scan, "there was no randomness to look for names with");
    }
    seen = apr_palloc(scan->pool, sizeof(*seen) * (apr_size_t)room);
    if (scan->count) {
        memcpy(seen, scan->seen, sizeof(*seen) * (apr_size_t)scan->count);
    }
    scan->seen = seen;
    scan->heads = apr_palloc(scan->pool, sizeof(*scan->heads) * (apr_size_t)room);
    scan->room = room;
    for (i = 0; i < room; i++) {
        scan->heads[i] = -1;
    }
    for (i = 0; i < scan->count; i++) { /* in this order, so that chains end with the oldest */
        link_seen(scan, i);
    }
    return 1;
}

static int push_name(edge_scan *scan, const edge_scan_level *level, const edge_scan_name *name)
{
    unsigned int hash;
    int i;

    if (scan->count == scan->room && !grow(scan)) {
        return 0;
    }
    hash = (unsigned int)apr_siphash24(name->text, name->len, scan->seed);
    for (i = scan->heads[hash & (unsigned int)(scan->room - 1)]; i >= level->names;
         i = scan->seen[i].next) {
        const edge_scan_seen *seen = &scan->seen[i];

        if (seen->hash == hash && seen->len == name->len
            && memcmp(seen->text, name->text, name->len) == 0) {
            return fail(scan, "an object has a name twice");
        }
    }
    scan->seen[scan->count].text = name->text;
    scan->seen[scan->count].len = name->len;
    scan->seen[scan->count].hash = hash;
    link_seen(scan, scan->count++);
    return 1;
}

/* The newest first, so that each is the head of its chain */
static void pop_names(edge_scan *scan, const edge_scan_level *level)
{
    while (scan->count > level->names) {
        const edge_scan_seen *seen = &scan->seen[--scan->count];

        scan->heads[seen->hash & (unsigned int)(scan->room - 1)] = seen->next;
    }
}

int edge_scan_enter(edge_scan *scan, edge_scan_level *level)
{
    if (scan->depth == EDGE_SCAN_DEPTH_MAX) {
        return fail(scan, "it nests deeper than 32 levels");
    }
    scan->depth++;
    level->close = *scan->at++ == '{' ? '}' : ']';
    level->begun = 0;
    level->names = scan->count;
    return 1;
}

static int read_name(edge_scan *scan, const edge_scan_level *level, edge_scan_name *name)
{
    int escapes;

    name->raw = scan->at;
    if (edge_scan_peek(scan) != '"') {
        return fail(scan, "an object has something that is no name");
    }
    if (!walk_string(scan, &escapes)) {
        return 0;
    }
    name->raw_len = (apr_size_t)(scan->at - name->raw);
    name->text = name->raw + 1;
    name->len = name->raw_len - 2;
    if (escapes) {
        decode(scan->pool, name);
    }
    if (!push_name(scan, level, name)) {
        return 0;
    }
    if (edge_scan_peek(scan) != ':') {
        return fail(scan, "a name has no value");
    }
    scan->at++;
    return 1;
}

int edge_scan_next(edge_scan *scan, edge_scan_level *level, edge_scan_name *name)
{
    char c = edge_scan_peek(scan);

    if (c == level->close) {
        scan->at++;
        scan->depth--;
        pop_names(scan, level);
        return 0;
    }
    if (level->begun) {
        if (c != ',') {
            fail(scan, "something is not closed, or has no comma behind it");
            return -1;
        }
        scan->at++;
        edge_scan_peek(scan);
    }
    level->begun = 1;
    if (level->close == '}' && !read_name(scan, level, name)) {
        return -1;
    }
    edge_scan_peek(scan);
    return 1;
}

/* As deep as edge_scan_enter lets it. */
static int walk_level(edge_scan *scan)
{
    edge_scan_level level;
    edge_scan_name name;
    int more;

    if (!edge_scan_enter(scan, &level)) {
        return 0;
    }
    while ((more = edge_scan_next(scan, &level, &name)) > 0) {
        if (!edge_scan_value(scan)) {
            return 0;
        }
    }
    return more == 0;
}

int edge_scan_value(edge_scan *scan)
{
    int escapes;

    switch (edge_scan_peek(scan)) {
    case '{':
    case '[':
        return walk_level(scan);
    case '"':
        return walk_string(scan, &escapes);
    case 't':
        return walk_word(scan, "true");
    case 'f':
        return walk_word(scan, "false");
    case 'n':
        return walk_word(scan, "null");
    default:
        return scan->at < scan->end ? walk_number(scan)
                                    : fail(scan, "it ends where a value is expected");
    }
}
