/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Origins, see tenant_origin.h. */
#include "tenant_origin.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#define LABEL_MAX 63
#define HOST_MAX 253
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* One label at *at: letters, digits, '-' and '_' (names of hosts have none, browsers send it). */
static int skip_label(const char **at)
{
    apr_size_t len = strspn(*at, LOWER DIGITS "-_");

    *at += len;
    return len > 0 && len <= LABEL_MAX;
}

/* A name of at least so many labels, or an address; *at ends behind it. */
static int skip_host(const char **at, int labels)
{
    const char *start = *at;
    int count = 1;

    if (**at == '[') {
        apr_size_t len = strspn(*at + 1, DIGITS "abcdef:.");

        *at += len + 2;
        return labels == 1 && len > 1 && memchr(start, ':', len) && start[len + 1] == ']';
    }
    if (!skip_label(at)) {
        return 0;
    }
    for (; **at == '.'; count++) {
        ++*at;
        if (!skip_label(at)) {
            return 0;
        }
    }
    return *at - start <= HOST_MAX && count >= labels;
}

/* The port behind a host, to the end: canonical, 1 to 65535; 0 for none, -1 for a wrong one. */
static int read_port(const char *at)
{
    apr_size_t len = strspn(at + (*at == ':'), DIGITS);
    apr_int64_t port;

    if (!*at) {
        return 0;
    }
    if (*at != ':' || !len || len > 5 || at[len + 1] || at[1] == '0') {
        return -1;
    }
    port = apr_atoi64(at + 1);
    return port <= 65535 ? (int)port : -1;
}

/* RFC 6454 6.2: a port that is the scheme's own is not said. */
static int is_default(const char *scheme, int port)
{
    return (!strncmp(scheme, "https:", 6) && port == 443)
           || (!strncmp(scheme, "http:", 5) && port == 80);
}

int tenant_origin_parse(tenant_origin *origin, apr_pool_t *p, const char *text)
{
    char *lower, *host;
    const char *at;
    int port, star;

    if (strlen(text) > TENANT_ORIGIN_MAX) {
        return 0;
    }
    lower = apr_pstrdup(p, text);
    for (host = lower; *host; host++) {
        *host = (char)apr_tolower(*host);
    }
    host = strstr(lower, "://");
    if (!host || !apr_isalpha(*lower)
        || strspn(lower, LOWER DIGITS "+-.") != (apr_size_t)(host - lower)) {
        return 0;
    }
    host += 3;
    star = host[0] == '*' && host[1] == '.';
    at = star ? host + 2 : host;
    if (!skip_host(&at, star ? 2 : 1)) {
        return 0;
    }
    port = read_port(at);
    if (port < 0) {
        return 0;
    }
    if (port && is_default(lower, port)) {
        lower[at - lower] = '\0';
    }
    origin->suffix = star ? apr_pstrdup(p, host + 1) : NULL;
    if (star) {
        *host = '\0';
    }
    origin->text = lower;
    return 1;
}

int tenant_origin_is(const tenant_origin *origin, const char *sent)
{
    apr_size_t head = strlen(origin->text);
    const char *at = sent + head;

    if (!origin->suffix) {
        return !strcmp(origin->text, sent);
    }
    return !strncmp(origin->text, sent, head) && skip_label(&at) && !strcmp(at, origin->suffix);
}
