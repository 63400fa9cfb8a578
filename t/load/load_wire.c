/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers of both protocols, as far as polls and publications need them: HTTP/1.1 with
 * Content-Length. Pure. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The number behind "data":{"n": in an event; the publisher writes it */
#define NUMBER "\"data\":{\"n\":"

/* The value of a header in a head that ends with an empty line. NULL: absent */
static const char *header(const char *head, size_t len, const char *name, size_t *value_len)
{
    size_t name_len = strlen(name);
    const char *end = head + len, *line = head, *next;

    while ((next = memmem(line, (size_t)(end - line), "\r\n", 2))) {
        if ((size_t)(next - line) > name_len && line[name_len] == ':'
            && !strncasecmp(line, name, name_len)) {
            line += name_len + 1;
            while (line < next && *line == ' ') {
                line++;
            }
            *value_len = (size_t)(next - line);
            return line;
        }
        line = next + 2;
    }
    return NULL;
}

int load_answer_parse(const char *text, size_t len, load_answer *answer)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4), *value;
    size_t head, value_len, body;

    if (!end) {
        return len > 16384 ? -1 : 0;
    }
    head = (size_t)(end - text) + 4;
    if (head < 16 || memcmp(text, "HTTP/1.1 ", 9) != 0) {
        return -1;
    }
    memset(answer, 0, sizeof(*answer));
    answer->status = atoi(text + 9);
    value = header(text, head, "Content-Length", &value_len);
    body = value ? (size_t)strtoul(value, NULL, 10) : 0;
    if (answer->status < 200 || answer->status >= LOAD_STATUS
        || (!value && answer->status != 304 && answer->status != 204)) {
        return -1;
    }
    if (answer->status == 304 || answer->status == 204) {
        body = 0;
    }
    value = header(text, head, "Connection", &value_len);
    answer->closes = value && value_len == 5 && !strncasecmp(value, "close", 5);
    answer->etag = header(text, head, "Etag", &answer->etag_len);
    answer->modified = header(text, head, "Last-Modified", &answer->modified_len);
    answer->body = text + head;
    answer->body_len = body;
    answer->size = head + body;
    return len >= answer->size;
}

int64_t load_next_event(const char **at, const char *end)
{
    const char *found = memmem(*at, (size_t)(end - *at), NUMBER, sizeof(NUMBER) - 1);

    if (!found) {
        return -1;
    }
    *at = found + sizeof(NUMBER) - 1;
    return strtoll(*at, NULL, 10);
}

/* What follows name in the members of a reply. NULL: it is not there */
static const char *member(const load_answer *answer, const char *name)
{
    const char *found = memmem(answer->body, answer->body_len, name, strlen(name));

    return found ? found + strlen(name) : NULL;
}

static int is_true(const char *value)
{
    return value && !strncmp(value, "true", 4);
}

static int read_reply(const load_answer *answer, load_news *news)
{
    const char *cursor = member(answer, "\"cursor\":\""), *gap, *retry;
    size_t len = cursor ? strcspn(cursor, "\"") : 0;

    gap = member(answer, "\"gap\":");
    retry = member(answer, "\"retryMs\":");
    if (!len || len >= sizeof(news->cursor) || !gap || !retry) {
        return 0;
    }
    memcpy(news->cursor, cursor, len);
    news->cursor[len] = '\0';
    news->gap = strncmp(gap, "null", 4) != 0;
    news->retry_ms = atoi(retry);
    news->drain = is_true(member(answer, "\"drain\":"));
    return 1;
}

int load_read_news(const load_plan *plan, const load_answer *answer, load_news *news)
{
    memset(news, 0, sizeof(*news));
    if (plan->speech == LOAD_ORGSCALE) {
        return read_reply(answer, news);
    }
    if (answer->status == 200 && answer->etag && answer->modified) {
        int len = snprintf(news->cursor, sizeof(news->cursor),
                           "If-None-Match: %.*s\r\nIf-Modified-Since: %.*s\r\n",
                           (int)answer->etag_len, answer->etag, (int)answer->modified_len,
                           answer->modified);

        return len < (int)sizeof(news->cursor);
    }
    return answer->status != 200;
}

int load_write_poll(const load_plan *plan, const load_org *org, const char *cursor, char *to)
{
    if (plan->speech == LOAD_NCHAN) {
        return snprintf(to, LOAD_TARGET, "GET /sub/%lld HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                        (long long)org->id, cursor);
    }
    if (!*cursor) {
        return snprintf(to, LOAD_TARGET,
                        "GET %s/subscribe?cursor=now&wait=0 HTTP/1.1\r\nHost: localhost\r\n"
                        "Authorization: Bearer %s\r\n\r\n", plan->path, org->token);
    }
    return snprintf(to, LOAD_TARGET,
                    "GET %s/subscribe?cursor=%s&wait=%d HTTP/1.1\r\nHost: localhost\r\n"
                    "Authorization: Bearer %s\r\n\r\n", plan->path, cursor, plan->wait, org->token);
}

int load_write_event(const load_plan *plan, const load_org *org, uint32_t n, int64_t run, char *to)
{
    char body[256];
    int len;

    if (plan->speech == LOAD_ORGSCALE) {
        len = snprintf(body, sizeof(body),
                       "{\"orgId\":%lld,\"type\":\"load.tick\",\"eventId\":\"%llx-%u\","
                       "\"data\":{\"n\":%u}}", (long long)org->id, (long long)run, n, n);
        return snprintf(to, LOAD_TARGET,
                        "POST %s/publish HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                        plan->path, len, body);
    }
    /* what orgscale makes of the event, so that both send the same */
    len = snprintf(body, sizeof(body),
                   "{\"eventId\":\"%llx-%u\",\"type\":\"load.tick\",\"propertyId\":null,"
                   "\"ts\":1763879000123,\"coalesceKey\":null,\"data\":{\"n\":%u}}",
                   (long long)run, n, n);
    return snprintf(to, LOAD_TARGET,
                    "POST /pub/%lld HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    (long long)org->id, len, body);
}
