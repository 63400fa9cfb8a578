/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A child that is to end is not held up by what it has parked.
 *
 * A hard stop (TERM, HUP) of an event child: its listener takes many sockets at a time that have
 * become readable, and waits for an idle worker for each that was suspended
 * (CONN_STATE_ASYNC_WAITIO). When the stop comes in the middle of them, its workers end without
 * another word: ap_queue_info_wait_for_idler() looks whether the queue is terminated behind its
 * wait, not before. It is woken once for each of the eleven half seconds that join_workers() sleeps
 * (httpd 2.4.71), then left behind. The parent complains after three seconds.
 *
 * A SIGTERM ends such a sleep early; event itself sends its child one to wake it up, and no other
 * thread takes it. So a child that does not end at once is sent some, until its pool goes.
 *
 * A graceful stop or restart of a prefork child, which has a signal for it: the MPM's handler
 * closes the listeners, and nothing more happens until the request is over (child_stopping comes
 * then, too). A poll would see that at its next look at the client, a second later. So the notifier
 * is woken.
 *
 * No lock. */
#include "rt.h"

#include <ap_mpm.h>
#include <errno.h>
#include <mpm_common.h>
#include <signal.h>
#include <time.h>

/* A child that nothing holds up has ended before the first, as a rule; behind the eleventh, 0.65 s
 * after the stop came, a listener is left behind. The parent looks 0.34 and 1.34 s after it has
 * asked. */
static const struct itimerspec when = { .it_value = { 0, 50000000 },
                                        .it_interval = { 0, 60000000 } };

/* child: */
static timer_t timer;
static int armed;
static struct sigaction prefork; /* its handler of the signal, which ours calls */

static apr_status_t disarm(void *unused)
{
    if (armed) {
        armed = 0;
        timer_delete(timer);
    }
    return APR_SUCCESS;
}

static void child_stopping(apr_pool_t *p, int graceful)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM };
    int is_async = 0;

    if (graceful || armed || rt_bell_child() < 0
        || ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async) != APR_SUCCESS || !is_async) {
        return;
    }
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
        armed = 1;
        timer_settime(timer, 0, &when, NULL);
    }
}

static void on_graceful(int number)
{
    int before = errno;

    prefork.sa_handler(number);
    rt_bell_nudge();
    errno = before;
}

static apr_status_t unwrap(void *unused)
{
    sigaction(AP_SIG_GRACEFUL, &prefork, NULL);
    return APR_SUCCESS;
}

/* The MPM has set its handler before the child's start. */
static void wrap(apr_pool_t *p)
{
    struct sigaction ours;
    int threaded = 0;

    if (rt_bell_child() < 0
        || (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && threaded)
        || sigaction(AP_SIG_GRACEFUL, NULL, &prefork) || (prefork.sa_flags & SA_SIGINFO)
        || prefork.sa_handler == SIG_DFL || prefork.sa_handler == SIG_IGN) {
        return;
    }
    ours = prefork;
    ours.sa_handler = on_graceful;
    if (sigaction(AP_SIG_GRACEFUL, &ours, NULL) == 0) {
        apr_pool_pre_cleanup_register(p, NULL, unwrap);
    }
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_pool_pre_cleanup_register(p, NULL, disarm);
    wrap(p);
}

void rt_stop_register(apr_pool_t *p)
{
    /* the last to register is the first to be called: no other cleanup is interrupted */
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_LAST);
}
