/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the server's processes have used, from /proc. A process's time counts what its ended and
 * awaited children used, so nothing is lost when httpd replaces them. */
#include "load.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES_MAX 8192

typedef struct process {
    pid_t pid, parent;
    int64_t ticks;
    int ours;
} process;

static int read_stat(pid_t pid, process *p)
{
    char name[64], line[1024], *rest;
    long long u, s, cu, cs;
    int parent;
    FILE *file;
    size_t len;

    snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
    file = fopen(name, "r");
    if (!file) {
        return 0;
    }
    len = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[len] = '\0';
    rest = strrchr(line, ')'); /* behind the command, which may hold anything */
    if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld",
                        &parent, &u, &s, &cu, &cs) != 5) {
        return 0;
    }
    p->pid = pid;
    p->parent = parent;
    p->ticks = u + s + cu + cs;
    p->ours = 0;
    return 1;
}

/* KiB; -1: we may not look, or it has ended */
static int64_t pss_of(pid_t pid)
{
    char name[64], line[256];
    long long kib = -1;
    FILE *file;

    snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(name, "r");
    if (!file) {
        return -1;
    }
    while (kib < 0 && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Pss: %lld", &kib) != 1) {
            kib = -1;
        }
    }
    fclose(file);
    return kib;
}

static int read_all(process *all)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int n = 0;

    while (proc && n < PROCESSES_MAX && (entry = readdir(proc))) {
        int pid = atoi(entry->d_name);

        if (pid > 0 && read_stat(pid, &all[n])) {
            n++;
        }
    }
    if (proc) {
        closedir(proc);
    }
    return n;
}

/* Marks root and all below it. */
static void mark(process *all, int n, pid_t root)
{
    int i, j, more = 1;

    for (i = 0; i < n; i++) {
        all[i].ours = all[i].pid == root;
    }
    while (more) {
        more = 0;
        for (i = 0; i < n; i++) {
            for (j = 0; j < n && !all[i].ours; j++) {
                if (all[j].ours && all[j].pid == all[i].parent) {
                    all[i].ours = more = 1;
                }
            }
        }
    }
}

void load_usage_of(pid_t root, int with_memory, load_usage *usage)
{
    process *all = calloc(PROCESSES_MAX, sizeof(*all));
    int n = all ? read_all(all) : 0, i;

    memset(usage, 0, sizeof(*usage));
    mark(all, n, root);
    for (i = 0; i < n; i++) {
        if (all[i].ours) {
            int64_t pss = with_memory && usage->pss >= 0 ? pss_of(all[i].pid) : -1;

            usage->processes++;
            usage->cpu += all[i].ticks * (1000000 / sysconf(_SC_CLK_TCK));
            usage->pss = pss < 0 ? -1 : usage->pss + pss;
        }
    }
    free(all);
}
