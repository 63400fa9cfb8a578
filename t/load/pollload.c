/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* pollload -p PORT [option…]: see usage(), and load.h for how it is built. SIGTERM or SIGINT ends
 * the publishing early; what was published until then is awaited and reported. */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STRIDE       7919     /* a prime, see load_org_of() */
#define PARK_WITHIN  20000000 /* microseconds in which one more poll has to be parked */
#define SETTLE       1000000  /* microseconds until a server has parked the last request */
#define TWICE_WITHIN 500000   /* microseconds for what comes twice, behind all else */

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    stopped = 1;
}

int64_t load_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint32_t load_org_of(const load_plan *plan, uint32_t n)
{
    uint32_t norgs = (uint32_t)plan->norgs;

    return norgs % STRIDE ? (uint32_t)((uint64_t)(n % norgs) * STRIDE % norgs) : n % norgs;
}

/* 127.1.x.y: each address brings ports of its own */
int load_connect(const load_plan *plan, unsigned int number)
{
    struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0) {
        return -1;
    }
    from.sin_addr.s_addr = htonl(0x7f010001U + (number % 64 << 8));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)plan->port);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0
        || (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void usage(void)
{
    fputs("pollload -p PORT [-m orgscale|nchan] [-u PATH] [-t TOKENS] [-n POLLS] [-o ORGS]\n"
          "         [-r EVENTS-A-SECOND] [-s SECONDS] [-c PROCESSES] [-w WAIT] [-i IDLE]\n"
          "         [-d DRAIN] [-R RAMP] [-S PID]\n"
          "  -u  path before /subscribe and /publish (orgscale)\n"
          "  -t  file of \"org token\" lines (orgscale); the first ORGS are used\n"
          "  -w  seconds that a poll asks to be parked\n"
          "  -i  seconds to watch the server while all are parked and nothing is published\n"
          "  -d  seconds at most for what is missing when publishing is over\n"
          "  -R  seconds over which the polls are opened, so that their ends spread as well\n"
          "  -S  pid of the server: CPU and memory of it and its children are measured\n", stderr);
    exit(2);
}

static void give_up(const char *what)
{
    fprintf(stderr, "pollload: %s\n", what);
    exit(1);
}

static int read_options(load_plan *plan, int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "p:m:u:t:n:o:r:s:c:w:i:d:R:S:")) != -1) {
        switch (option) {
        case 'p': plan->port = atoi(optarg); break;
        case 'm': plan->speech = strcmp(optarg, "nchan") ? LOAD_ORGSCALE : LOAD_NCHAN; break;
        case 'u': plan->path = optarg; break;
        case 't': plan->tokens = optarg; break;
        case 'n': plan->polls = atoi(optarg); break;
        case 'o': plan->norgs = atoi(optarg); break;
        case 'r': plan->rate = atoi(optarg); break;
        case 's': plan->seconds = atoi(optarg); break;
        case 'c': plan->pollers = atoi(optarg); break;
        case 'w': plan->wait = atoi(optarg); break;
        case 'i': plan->idle = atoi(optarg); break;
        case 'd': plan->drain = atoi(optarg); break;
        case 'R': plan->ramp = atoi(optarg); break;
        case 'S': plan->server = atoi(optarg); break;
        default: return 0;
        }
    }
    plan->events = (uint32_t)plan->rate * (uint32_t)plan->seconds;
    return plan->port > 0 && plan->polls > 0 && plan->norgs > 0 && plan->norgs <= plan->polls
           && plan->rate > 0 && plan->seconds > 0 && plan->pollers > 0
           && plan->pollers < LOAD_PROCS && optind == argc
           && (plan->speech == LOAD_NCHAN || plan->tokens);
}

/* The organisations: of the file, or for nchan, which knows no tokens, 1 and so on. */
static void read_orgs(load_plan *plan)
{
    FILE *file = plan->tokens ? fopen(plan->tokens, "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    int i;

    plan->orgs = calloc((size_t)plan->norgs, sizeof(*plan->orgs));
    for (i = 0; i < plan->norgs; i++) {
        plan->orgs[i].id = i + 1;
        if (plan->speech == LOAD_ORGSCALE) {
            char *token;

            if (!file || getline(&line, &size, file) < 3 || !(token = strchr(line, ' '))) {
                give_up("the file of tokens (-t) has too few lines");
            }
            plan->orgs[i].id = strtoll(line, NULL, 10);
            token[strcspn(token, "\n")] = '\0';
            if (strlen(token) > LOAD_TARGET / 2) {
                give_up("a token is too long");
            }
            plan->orgs[i].token = strdup(token + 1);
        }
    }
    free(line);
    if (file) {
        fclose(file);
    }
}

static void *map(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        give_up("no memory");
    }
    return at;
}

static load_shared *share(const load_plan *plan)
{
    load_shared *shared = map(sizeof(*shared));

    shared->per_poll = (plan->events / (size_t)plan->norgs + 8) / 8;
    shared->received = map(shared->per_poll * (size_t)plan->polls);
    shared->acked = map(plan->events);
    atomic_store(&shared->limit, plan->events);
    return shared;
}

static void raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void start(const load_plan *plan, load_shared *shared)
{
    int i;

    for (i = 0; i <= plan->pollers; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            give_up("fork failed");
        }
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            signal(SIGINT, SIG_IGN); /* the coordinator says when it is over */
            signal(SIGTERM, SIG_IGN);
            if (i < plan->pollers) {
                load_poller(plan, shared, i);
            }
            else {
                load_publisher(plan, shared, i);
            }
            _exit(0);
        }
    }
}

/* Sleep, unless a process of ours ended: then nothing that follows is true. */
static void pass(int64_t micros)
{
    if (waitpid(-1, NULL, WNOHANG) > 0) {
        give_up("one of the client's processes ended");
    }
    usleep((useconds_t)micros);
}

/* Memory of the server that has started and does nothing: when it has not changed for a while. */
static int64_t rest_memory(const load_plan *plan)
{
    load_usage usage;
    int64_t last = -2;
    int same = 0, i;

    for (i = 0; i < 100 && same < 5; i++) {
        load_usage_of(plan->server, 1, &usage);
        same = usage.pss == last ? same + 1 : 0;
        last = usage.pss;
        pass(100000);
    }
    return usage.pss;
}

static int64_t sum_parked(const load_plan *plan, load_shared *shared)
{
    int64_t sum = 0;
    int i;

    for (i = 0; i < plan->pollers; i++) {
        sum += atomic_load(&shared->counts[i].parked);
    }
    return sum;
}

static int64_t sum_answers(const load_plan *plan, load_shared *shared)
{
    int64_t sum = 0;
    int i;

    for (i = 0; i < plan->pollers; i++) {
        sum += atomic_load(&shared->counts[i].answers);
    }
    return sum;
}

/* Until all are parked, but for one in a thousand that is paced or between two polls at the moment;
 * or nothing moves any more. */
static void await_parked(const load_plan *plan, load_shared *shared, load_outcome *outcome)
{
    int64_t end = load_now() + PARK_WITHIN, most = 0, parked;

    while ((parked = sum_parked(plan, shared)) < plan->polls - plan->polls / 1000
           && load_now() < end && !stopped) {
        if (parked > most) {
            most = parked;
            end = load_now() + PARK_WITHIN;
        }
        pass(50000);
    }
    pass(SETTLE);
    outcome->parked = (int)sum_parked(plan, shared);
}

/* With everything parked: memory, then CPU over a while in which nothing is published. */
static void watch_idle(const load_plan *plan, load_shared *shared, load_outcome *outcome)
{
    load_usage before, after;
    int64_t began = load_now(), answers;

    load_usage_of(plan->server, 1, &before);
    outcome->pss_parked = before.pss;
    if (!plan->server || !plan->idle) {
        return;
    }
    answers = sum_answers(plan, shared);
    load_usage_of(plan->server, 0, &before);
    began = load_now();
    pass((int64_t)plan->idle * 1000000);
    load_usage_of(plan->server, 0, &after);
    outcome->idle_percent = (double)(after.cpu - before.cpu) * 100 / (double)(load_now() - began);
    outcome->idle_answers = (double)(sum_answers(plan, shared) - answers);
}

/* Events that polls should have by now, less those that they have. Exact only when publishing is
 * over; the report counts each. */
static int64_t missing(const load_plan *plan, load_shared *shared)
{
    int64_t sum = 0;
    uint32_t n;
    int i;

    for (n = 0; n < plan->events; n++) {
        if (shared->acked[n]) {
            sum += (plan->polls - (int)load_org_of(plan, n) + plan->norgs - 1) / plan->norgs;
        }
    }
    for (i = 0; i < plan->pollers; i++) {
        sum -= atomic_load(&shared->counts[i].delivered);
    }
    return sum;
}

static void publish(const load_plan *plan, load_shared *shared, load_outcome *outcome)
{
    load_usage before, after;
    int64_t began = load_now() + 100000, end;

    load_usage_of(plan->server, 0, &before);
    atomic_store(&shared->start, began);
    atomic_store(&shared->phase, LOAD_PUBLISHING);
    while (load_now() < began + (int64_t)plan->seconds * 1000000 && !stopped) {
        pass(20000);
    }
    if (stopped) { /* events that are due are still sent */
        int64_t now = load_now(), n = now < began ? 0 : (now - began) * plan->rate / 1000000 + 1;

        atomic_store(&shared->limit, n < plan->events ? (unsigned int)n : plan->events);
    }
    end = load_now() + (int64_t)plan->drain * 1000000;
    while (!atomic_load(&shared->published) && load_now() < end) {
        pass(20000);
    }
    atomic_store(&shared->phase, LOAD_DRAINING);
    while (missing(plan, shared) > 0 && load_now() < end) {
        pass(20000);
    }
    load_usage_of(plan->server, 0, &after);
    outcome->cpu = after.cpu - before.cpu;
    outcome->seconds = (double)(load_now() - began) / 1e6;
    pass(TWICE_WITHIN);
    load_usage_of(plan->server, 1, &after);
    outcome->pss_after = after.pss;
}

int main(int argc, char **argv)
{
    static load_plan plan = { .path = "/rt/a", .polls = 20, .norgs = 1, .pollers = 1, .rate = 10,
                              .seconds = 10, .wait = 25, .drain = 30 };
    static load_outcome outcome;
    load_shared *shared;

    if (!read_options(&plan, argc, argv)) {
        usage();
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    raise_file_limit();
    read_orgs(&plan);
    shared = share(&plan);
    outcome.pss_before = plan.server ? rest_memory(&plan) : -1;
    start(&plan, shared);
    await_parked(&plan, shared, &outcome);
    printf("parked %d of %d polls\n", outcome.parked, plan.polls);
    fflush(stdout);
    watch_idle(&plan, shared, &outcome);
    publish(&plan, shared, &outcome);
    atomic_store(&shared->phase, LOAD_ENDED);
    while (wait(NULL) > 0) {
    }
    load_report(&plan, shared, &outcome);
    return 0;
}
