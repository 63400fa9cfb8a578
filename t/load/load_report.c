/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Adding up and printing: a table for people, then a key=value line each for programs. */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[LOAD_ERRORS] = { "connect", "reset", "status", "parse",
                                                "timeout", "gap", "foreign" };

/* 128 buckets of a microsecond, then 128 for each power of two. */
static unsigned int bucket_of(int64_t micros)
{
    uint64_t v = micros < 0 ? 0 : micros > UINT32_MAX ? UINT32_MAX : (uint64_t)micros;
    unsigned int shift = v < 128 ? 0 : 56 - (unsigned int)__builtin_clzll(v);

    return shift * 128 + (unsigned int)(v >> shift);
}

/* The largest value that goes there. */
static int64_t top_of(unsigned int bucket)
{
    unsigned int shift = bucket < 256 ? 0 : bucket / 128 - 1;

    return ((int64_t)(bucket - shift * 128 + 1) << shift) - 1;
}

void load_latency_add(load_counts *counts, int64_t micros)
{
    counts->latency[bucket_of(micros)]++;
    if (micros > counts->latest) {
        counts->latest = micros;
    }
}

/* Milliseconds that a share of the deliveries did not exceed. A server is not the quicker for what
 * it loses: that counts as later than all that came. */
static double percentile(const load_counts *sum, long lost, double share)
{
    uint64_t all = (uint64_t)lost, below = 0;
    unsigned int i;

    for (i = 0; i < LOAD_HIST; i++) {
        all += sum->latency[i];
    }
    for (i = 0; i < LOAD_HIST && all; i++) {
        below += sum->latency[i];
        if ((double)below >= share * (double)all) {
            int64_t top = top_of(i);

            return (double)(top < sum->latest ? top : sum->latest) / 1000;
        }
    }
    return all ? INFINITY : 0;
}

static void add(load_counts *sum, load_counts *one)
{
    int i;

    atomic_fetch_add(&sum->delivered, atomic_load(&one->delivered));
    atomic_fetch_add(&sum->answers, atomic_load(&one->answers));
    atomic_fetch_add(&sum->acked, atomic_load(&one->acked));
    atomic_fetch_add(&sum->sent, atomic_load(&one->sent));
    sum->duplicates += one->duplicates;
    sum->empty += one->empty;
    sum->paced += one->paced;
    sum->drained += one->drained;
    sum->stale += one->stale;
    sum->opened += one->opened;
    for (i = 0; i < LOAD_ERRORS; i++) {
        sum->errors[i] += one->errors[i];
    }
    for (i = 0; i < LOAD_STATUS; i++) {
        sum->status[i] += one->status[i];
    }
    for (i = 0; i < LOAD_HIST; i++) {
        sum->latency[i] += one->latency[i];
    }
    if (one->latest > sum->latest) {
        sum->latest = one->latest;
    }
}

/* Events that were confirmed to their publisher, and that a poll of their organisation lacks. */
static long count_lost(const load_plan *plan, const load_shared *shared)
{
    unsigned int norgs = (unsigned int)plan->norgs, poll;
    uint32_t n;
    long lost = 0;

    for (n = 0; n < plan->events; n++) {
        if (!shared->acked[n]) {
            continue;
        }
        for (poll = load_org_of(plan, n); poll < (unsigned int)plan->polls; poll += norgs) {
            const uint8_t *bits = shared->received + (size_t)poll * shared->per_poll;

            lost += !(bits[n / norgs / 8] >> (n / norgs % 8) & 1);
        }
    }
    return lost;
}

static long count_errors(const load_counts *counts)
{
    long errors = 0;
    int i;

    for (i = 0; i < LOAD_ERRORS; i++) {
        errors += counts->errors[i];
    }
    return errors;
}

/* publisher: its share of them */
static void print_errors(const load_counts *sum, long errors, long publisher)
{
    int i;

    printf("%-22s %ld", "errors", errors);
    for (i = 0; i < LOAD_ERRORS; i++) {
        if (sum->errors[i] && i != LOAD_E_STATUS) {
            printf(", %s %ld", names[i], sum->errors[i]);
        }
    }
    for (i = 0; i < LOAD_STATUS; i++) {
        if (sum->status[i]) {
            printf(", status %d %u", i, sum->status[i]);
        }
    }
    if (publisher) {
        printf("; the publisher's of these %ld", publisher);
    }
    printf("\n");
}

static int knows_memory(const load_outcome *outcome)
{
    return outcome->pss_before >= 0 && outcome->pss_parked >= 0 && outcome->pss_after >= 0;
}

/* KiB that a poll adds to the server, of what it had with all parked, at first or at the end. */
static double memory(const load_outcome *outcome, int64_t pss)
{
    return (double)(pss - outcome->pss_before) / (outcome->parked ? outcome->parked : 1);
}

/* What only the server's processes tell. */
static void print_server(const load_outcome *outcome, double cpu)
{
    printf("%-22s %.1f us a delivery (%.0f %% of a core)\n", "server CPU", cpu,
           (double)outcome->cpu / outcome->seconds / 1e4);
    if (knows_memory(outcome)) {
        printf("%-22s %.1f KiB a parked poll, %.1f at the end (%lld, %lld, %lld KiB)\n",
               "server memory", memory(outcome, outcome->pss_parked),
               memory(outcome, outcome->pss_after), (long long)outcome->pss_before,
               (long long)outcome->pss_parked, (long long)outcome->pss_after);
    }
    printf("%-22s %.2f %% of a core, everything parked (%.0f answers meanwhile)\n", "idle CPU",
           outcome->idle_percent, outcome->idle_answers);
}

static void print_server_values(const load_outcome *outcome, double cpu)
{
    printf("cpu_us_per_delivery=%.2f\n", cpu);
    if (knows_memory(outcome)) {
        printf("kib_per_poll=%.2f\nkib_per_poll_at_end=%.2f\n",
               memory(outcome, outcome->pss_parked), memory(outcome, outcome->pss_after));
    }
    printf("idle_cpu_percent=%.2f\nidle_answers=%.0f\n", outcome->idle_percent,
           outcome->idle_answers);
}

static void print_values(const load_plan *plan, const load_counts *sum, long lost, long errors)
{
    int i;

    printf("polls=%d\norgs=%d\nrate=%d\nsent=%ld\npublished=%ld\ndelivered=%ld\nlost=%ld\n"
           "duplicates=%ld\n", plan->polls, plan->norgs, plan->rate, atomic_load(&sum->sent),
           atomic_load(&sum->acked), atomic_load(&sum->delivered), lost, sum->duplicates);
    printf("answers=%ld\nempty=%ld\npaced=%ld\ndrained=%ld\nstale=%ld\nopened=%ld\nerrors=%ld\n",
           atomic_load(&sum->answers), sum->empty, sum->paced, sum->drained, sum->stale,
           sum->opened, errors);
    for (i = 0; i < LOAD_ERRORS; i++) {
        printf("error_%s=%ld\n", names[i], sum->errors[i]);
    }
    printf("p50_ms=%.2f\np95_ms=%.2f\np99_ms=%.2f\nmax_ms=%.2f\n", percentile(sum, lost, 0.5),
           percentile(sum, lost, 0.95), percentile(sum, lost, 0.99), (double)sum->latest / 1000);
}

void load_report(const load_plan *plan, load_shared *shared, const load_outcome *outcome)
{
    static load_counts sum;
    load_counts *publisher = &shared->counts[plan->pollers];
    long lost = count_lost(plan, shared), errors, delivered;
    double cpu;
    int i;

    for (i = 0; i <= plan->pollers; i++) {
        add(&sum, &shared->counts[i]);
    }
    errors = count_errors(&sum);
    delivered = atomic_load(&sum.delivered);
    printf("%-22s %d over %d organisations, from %d processes\n", "polls parked", outcome->parked,
           plan->norgs, plan->pollers);
    printf("%-22s %ld of %ld sent, %d a second\n", "published", atomic_load(&sum.acked),
           atomic_load(&sum.sent), plan->rate);
    printf("%-22s %ld, lost %ld, duplicated %ld\n", "delivered", delivered, lost, sum.duplicates);
    printf("%-22s p50 %.2f, p95 %.2f, p99 %.2f, max %.2f\n", "milliseconds",
           percentile(&sum, lost, 0.5), percentile(&sum, lost, 0.95), percentile(&sum, lost, 0.99),
           (double)sum.latest / 1000);
    printf("%-22s %ld answers, %ld empty, %ld paced, %ld drained\n", "polls",
           atomic_load(&sum.answers), sum.empty, sum.paced, sum.drained);
    printf("%-22s %ld, gone at the next request %ld; the publisher's of these %ld, %ld\n",
           "connections", sum.opened, sum.stale, publisher->opened, publisher->stale);
    print_errors(&sum, errors, count_errors(publisher));
    cpu = (double)outcome->cpu / (double)(delivered ? delivered : 1);
    if (plan->server) {
        print_server(outcome, cpu);
    }
    printf("\n");
    if (plan->server) {
        print_server_values(outcome, cpu);
    }
    print_values(plan, &sum, lost, errors);
}
