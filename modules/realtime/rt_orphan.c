/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Children whose parent was killed with SIGKILL. Left alone they serve on for ever, obey no signal
 * that a child handles, and hold the port, so that no new server starts (httpd-facts.md 13.10).
 *
 * Each child's notifier looks once a second. The first that notices shuts the listening sockets
 * down, which all children share: the MPM of each finds that it can't accept any more, and ends
 * gracefully. Who is not gone by then is ended. */
#include "rt.h"

#include "og_clock.h"

#include <ap_listen.h>
#include <apr_portable.h>
#include <http_main.h>
#include <sys/socket.h>
#include <unistd.h>

/* decisions.md 30: gone within ten seconds, of which one may pass before it is noticed */
#define LEAVE_WITHIN (8 * APR_USEC_PER_SEC)

static pid_t parent;           /* parent, then inherited */
static apr_time_t alone_since; /* child: notifier's; 0: the parent lives */

/* AH00056 of each listener thread, an accept that failed, is this one's doing */
static void shut_listeners(void)
{
    ap_listen_rec *each;
    apr_os_sock_t fd;

    for (each = ap_listeners; each; each = each->next) {
        if (apr_os_sock_get(&fd, each->sd) == APR_SUCCESS) {
            shutdown(fd, SHUT_RDWR);
        }
    }
}

void rt_orphan_look(void)
{
    if (getpid() == parent || getppid() == parent) {
        return; /* the first: httpd -X, which is parent and child in one */
    }
    if (!alone_since) {
        alone_since = og_clock_mono();
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, ap_server_conf, OGLOGNO(1507)
                     "the parent process %" APR_PID_T_FMT " is gone: this child answers its polls "
                     "and ends", parent);
        rt_waits_drain();
        shut_listeners();
    }
    else if (og_clock_mono() - alone_since > LEAVE_WITHIN) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, ap_server_conf, OGLOGNO(1508)
                     "the parent process is gone, and requests still run: ending without them");
        _exit(1);
    }
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    parent = getpid(); /* httpd has gone to the background by now */
    return OK;
}

void rt_orphan_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
