/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Routes, see rest_route.h. */
#include "rest_route.h"

#include "og_number.h"

#include <string.h>

static int matches(const char *pattern, const char *path, apr_int64_t *ids)
{
    int n = 0;

    while (*pattern && *path) {
        if (*pattern == '{') {
            apr_size_t len = strcspn(path, "/");

            if (n == REST_ROUTE_IDS || !og_id_parse(&ids[n++], path, len)) {
                return 0;
            }
            pattern += strcspn(pattern, "}") + 1;
            path += len;
        }
        else if (*pattern++ != *path++) {
            return 0;
        }
    }
    return !*pattern && !*path;
}

void rest_route_find(rest_match *match, const rest_route *routes, const char *path,
                     rest_method method)
{
    memset(match, 0, sizeof(*match));
    for (; routes->pattern; routes++) {
        apr_int64_t ids[REST_ROUTE_IDS] = { 0 };

        if (!matches(routes->pattern, path, ids)) {
            continue;
        }
        match->methods |= (int)routes->method;
        if (routes->method == method) {
            match->route = routes;
            memcpy(match->ids, ids, sizeof(ids));
        }
    }
}

const char *rest_route_allow(char buf[40], int methods)
{
    static const struct {
        int method;
        const char *name;
    } names[] = { { REST_GET, "GET, HEAD" }, { REST_POST, "POST" }, { REST_PATCH, "PATCH" },
                  { REST_DELETE, "DELETE" } };
    char *at = buf;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (methods & names[i].method) {
            size_t len = strlen(names[i].name);

            if (at != buf) {
                *at++ = ',';
                *at++ = ' ';
            }
            memcpy(at, names[i].name, len);
            at += len;
        }
    }
    *at = '\0';
    return buf;
}
