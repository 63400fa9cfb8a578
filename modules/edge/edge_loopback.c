/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Asking a server of this host, see edge_loopback.h. */
#include "edge_loopback.h"

#include "og_clock.h"
#include "og_number.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Milliseconds after which somebody is asked whether the process ends */
#define SLICE 100

int edge_loopback_is(const struct sockaddr *address)
{
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;

    if (address->sa_family == AF_INET) {
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    }
    return address->sa_family == AF_INET6
           && (IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127));
}

/* @return 0 unless text is a numeric address of this host */
static int set_address(edge_loopback *target, const char *text, apr_int64_t port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&target->at;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&target->at;

    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((in_port_t)port);
        target->at_len = sizeof(*four);
    }
    else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((in_port_t)port);
        target->at_len = sizeof(*six);
    }
    else {
        return 0;
    }
    return edge_loopback_is((const struct sockaddr *)&target->at);
}

static int is_path(const char *text)
{
    if (*text != '/') {
        return 0;
    }
    for (; *text; text++) {
        if (!apr_isgraph(*text) || strchr("?#\"<>\\", *text)) {
            return 0;
        }
    }
    return 1;
}

/* ADDRESS:PORT, where what has colons of its own stands in brackets */
static int set_host(apr_pool_t *p, edge_loopback *target, const char *host)
{
    const char *colon = strrchr(host, ':');
    apr_size_t len = colon ? (apr_size_t)(colon - host) : 0;
    int brackets = *host == '[' && len > 2 && host[len - 1] == ']';
    const char *address = apr_pstrmemdup(p, host + brackets, len - 2 * (apr_size_t)brackets);
    apr_int64_t port;

    return len && (strchr(address, ':') != NULL) == brackets
           && og_int_parse(&port, colon + 1, strlen(colon + 1), 1, 65535)
           && set_address(target, address, port);
}

const char *edge_loopback_parse(apr_pool_t *p, const char *url, edge_loopback *target)
{
    static const char scheme[] = "http://";
    const char *host = url + sizeof(scheme) - 1, *path;

    memset(target, 0, sizeof(*target));
    if (strlen(url) <= EDGE_LOOPBACK_URL_MAX && !strncmp(url, scheme, sizeof(scheme) - 1)) {
        path = host + strcspn(host, "/");
        target->host = apr_pstrmemdup(p, host, (apr_size_t)(path - host));
        target->path = apr_pstrdup(p, path);
        if (is_path(path) && set_host(p, target, target->host)) {
            return NULL;
        }
    }
    return apr_psprintf(p, "expected http://ADDRESS:PORT/PATH with an address of loopback "
                           "(127.0.0.1, [::1]) and no query, not \"%.80s\"", url);
}

/* What waiting for the peer has come to */
typedef struct talk {
    int fd;
    apr_time_t deadline; /* og_clock_mono() */
    int (*ends)(void);
    const char *wrong;   /* NULL so far */
} talk;

/* Wait until the socket is ready for what is said. @return 0, and to->wrong, when it won't be */
static int wait_for(talk *to, short events)
{
    struct pollfd socket = { to->fd, events, 0 };

    while (og_clock_mono() < to->deadline) {
        int n;

        if (to->ends && to->ends()) {
            to->wrong = "the process ends";
            return 0;
        }
        n = poll(&socket, 1, SLICE);
        if (n > 0) {
            return 1;
        }
        if (n < 0 && errno != EINTR) {
            to->wrong = "poll failed";
            return 0;
        }
    }
    to->wrong = "no answer in time";
    return 0;
}

static int open_to(talk *to, const edge_loopback *target)
{
    int error = 0;
    socklen_t size = sizeof(error);

    to->fd = socket(target->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (to->fd < 0) {
        to->wrong = "no socket";
        return 0;
    }
    if (connect(to->fd, (const struct sockaddr *)&target->at, target->at_len) == 0) {
        return 1;
    }
    if (errno != EINPROGRESS) {
        to->wrong = "no connection";
        return 0;
    }
    if (!wait_for(to, POLLOUT)) {
        return 0;
    }
    if (getsockopt(to->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error) {
        to->wrong = "no connection";
    }
    return !to->wrong;
}

static int send_all(talk *to, const char *text)
{
    apr_size_t left = strlen(text);

    while (left) {
        ssize_t n = send(to->fd, text, left, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            left -= (apr_size_t)n;
        }
        else if (errno != EAGAIN && errno != EINTR) {
            to->wrong = "the connection broke";
            return 0;
        }
        else if (!wait_for(to, POLLOUT)) {
            return 0;
        }
    }
    return 1;
}

/* All that comes until the peer closes. */
static int read_all(talk *to, char *text, apr_size_t size)
{
    apr_size_t used = 0;

    while (used < size - 1) {
        ssize_t n = recv(to->fd, text + used, size - 1 - used, 0);

        if (n > 0) {
            used += (apr_size_t)n;
        }
        else if (n == 0) {
            text[used] = '\0';
            return 1;
        }
        else if (errno != EAGAIN && errno != EINTR) {
            to->wrong = "the connection broke";
            return 0;
        }
        else if (!wait_for(to, POLLIN)) {
            return 0;
        }
    }
    to->wrong = "the answer is too long";
    return 0;
}

int edge_loopback_read(char *text, edge_loopback_answer *answer)
{
    char *line = strstr(text, "\r\n"), *end = strstr(text, "\r\n\r\n");
    apr_int64_t status;

    if (!end || strncmp(text, "HTTP/1.", 7) != 0 || line < text + 12 || text[8] != ' '
        || !og_int_parse(&status, text + 9, 3, 100, 599)) {
        return 0;
    }
    end[2] = '\0';
    answer->status = (int)status;
    answer->head = line + 2;
    answer->body = end + 4;
    return 1;
}

void edge_loopback_ask(apr_pool_t *p, const edge_loopback *target, const char *query,
                       const char *fields, int (*ends)(void), edge_loopback_answer *answer)
{
    talk to = { -1, og_clock_mono() + EDGE_LOOPBACK_WITHIN, ends, NULL };
    char *text = apr_palloc(p, EDGE_LOOPBACK_ANSWER_MAX);
    const char *request = apr_pstrcat(p, "GET ", target->path, "?", query, " HTTP/1.1\r\nHost: ",
                                      target->host, "\r\nConnection: close\r\n", fields, "\r\n",
                                      NULL);

    memset(answer, 0, sizeof(*answer));
    if (open_to(&to, target) && send_all(&to, request)
        && read_all(&to, text, EDGE_LOOPBACK_ANSWER_MAX) && !edge_loopback_read(text, answer)) {
        to.wrong = "what came is no answer";
    }
    if (to.fd >= 0) {
        close(to.fd);
    }
    answer->wrong = to.wrong;
}

const char *edge_loopback_field(apr_pool_t *p, const edge_loopback_answer *answer, const char *name)
{
    const char *line = answer->head;
    apr_size_t len = strlen(name);

    while (line && *line) {
        apr_size_t all = strcspn(line, "\r");

        if (!strncasecmp(line, name, len) && line[len] == ':') {
            const char *value = line + len + 1;

            value += strspn(value, " \t");
            return apr_pstrmemdup(p, value, (apr_size_t)(line + all - value));
        }
        line += all + (line[all] ? 2 : 0);
    }
    return NULL;
}
