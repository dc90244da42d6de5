/* SPDX-License-Identifier: MIT
 * The machine through /proc, /sys, hwloc and what core/platform finds. */
#include "doctor_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"
#include "guard.h"

enum { SHOWN_CPUS = 32 };

/* ---- Looking ---- */

static void look_at_cpu(dd_found *d)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    strcpy(d->cpu, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            colon[strcspn(colon, "\n")] = '\0';
            (void)snprintf(d->cpu, sizeof d->cpu, "%s", colon + 2);
            break;
        }
    }
    if (f)
        (void)fclose(f);
#ifdef __x86_64__
    __builtin_cpu_init();
    (void)snprintf(d->isa, sizeof d->isa, "%s%s%s%s%s%s",
                   __builtin_cpu_supports("avx2") ? "avx2 " : "",
                   __builtin_cpu_supports("fma") ? "fma " : "",
                   __builtin_cpu_supports("avx512f") ? "avx512f " : "",
                   __builtin_cpu_supports("avx512dq") ? "avx512dq " : "",
                   __builtin_cpu_supports("avx512bw") ? "avx512bw " : "",
                   __builtin_cpu_supports("avx512vl") ? "avx512vl " : "");
#elif defined __aarch64__
    strcpy(d->isa, "neon ");
#endif
    if (d->isa[0])
        d->isa[strlen(d->isa) - 1] = '\0'; /* the last blank */
    else
        strcpy(d->isa, "no vector set that this version uses");
}

static void look_for_keys(dd_found *d)
{
    dd_guard *guard;
    if (dd_guard_open(true, &guard, &d->keys_why) != DD_OK) {
        d->keys_why = "out of memory while looking";
        return;
    }
    d->keys = dd_guard_n_keys(guard);
    dd_guard_close(guard);
}

uint32_t dd_workers_of_threads(uint64_t threads)
{
    /* 12^depth workers, 1 + 12 + … controls above them */
    static const struct {
        uint32_t workers, controls;
    } depth[] = {{1, 0}, {12, 1}, {144, 13}, {1728, 157}};
    for (size_t d = 3; d > 0; d--) {
        const uint64_t left = threads > depth[d].controls ? threads - depth[d].controls : 0;
        if (left > depth[d - 1].workers || d == 1)
            return left < depth[d].workers ? (uint32_t)left : depth[d].workers;
    }
    return 0;
}

void dd_found_look(dd_found *d)
{
    *d = (dd_found){.cpus = dd_cpu_available()};
    look_at_cpu(d);
    (void)dd_topology_open(&d->topology);
    d->memory_gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 0x1p30;
    look_for_keys(d);
    dd_limits_read("", &d->limits);
    d->threads_left = dd_limits_threads_left(&d->limits);
    d->most_workers = dd_workers_of_threads(d->threads_left);
}

void dd_found_close(dd_found *d)
{
    dd_topology_close(&d->topology);
}

/* ---- Text ---- */

static void print_caches(const dd_topology *t, FILE *out)
{
    const struct {
        const char *name;
        uint32_t n;
        uint64_t bytes;
    } kinds[] = {{"L1d", t->n_l1d, t->l1d_bytes},
                 {"L2", t->n_l2, t->l2_bytes},
                 {"L3", t->n_l3, t->l3_bytes}};
    const char *between = "";
    fprintf(out, "  caches           ");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (kinds[k].n) {
            fprintf(out, "%s%u x %s %llu KiB", between, kinds[k].n, kinds[k].name,
                    (unsigned long long)kinds[k].bytes / 1024);
            between = ", ";
        }
    fprintf(out, "%s\n", *between ? "" : "unknown");
}

static void print_limit(const char *name, const dd_limit *limit, const char *unbound, FILE *out)
{
    if (limit->most == DD_NO_LIMIT)
        fprintf(out, "%s %s", name, unbound);
    else if (limit->used == 0)
        fprintf(out, "%s %llu", name, (unsigned long long)limit->most);
    else
        fprintf(out, "%s %llu of %llu in use", name, (unsigned long long)limit->used,
                (unsigned long long)limit->most);
}

static void print_threads(const dd_found *d, FILE *out)
{
    fprintf(out, "  thread limits    ");
    print_limit("user (ulimit -u)", &d->limits.user, geteuid() ? "none" : "none for root", out);
    print_limit("; control groups (pids.max)", &d->limits.group, "none", out);
    print_limit("; kernel", &d->limits.system, "unknown", out);
    fprintf(out, "\n                   enough for %u worker%s\n", d->most_workers,
            d->most_workers == 1 ? "" : "s");
}

void dd_found_print(const dd_found *d, FILE *out)
{
    const dd_topology *t = &d->topology;
    fprintf(out, "machine\n");
    fprintf(out, "  CPU              %s\n", d->cpu);
    fprintf(out, "  vector sets      %s\n", d->isa);
    if (t->n_cpus)
        fprintf(
            out,
            "  topology         %u package%s, %u NUMA node%s, %u core%s, %u hardware thread%s\n",
            t->n_packages, t->n_packages == 1 ? "" : "s", t->n_numa_nodes,
            t->n_numa_nodes == 1 ? "" : "s", t->n_cores, t->n_cores == 1 ? "" : "s", t->n_threads,
            t->n_threads == 1 ? "" : "s");
    print_caches(t, out);
    fprintf(out, "  CPUs             %u for this process", d->cpus);
    if (t->n_cpus_cores)
        fprintf(out, " (%u by affinity, %u core%s)", t->n_cpus, t->n_cpus_cores,
                t->n_cpus_cores == 1 ? "" : "s");
    fprintf(out, "\n  pinned in order ");
    for (uint32_t i = 0; i < t->n_cpus && i < SHOWN_CPUS; i++)
        fprintf(out, " %u", t->cpu[i]);
    fprintf(out, "%s\n", t->n_cpus > SHOWN_CPUS ? " …" : t->n_cpus ? "" : " unknown");
    if (d->keys)
        fprintf(out, "  protection keys  %u\n", d->keys);
    else
        fprintf(out,
                "  protection keys  %s\n                   guard mode protects weights and batch "
                "here, not segments from other workers\n",
                d->keys_why);
    fprintf(out, "  memory           %.1f GiB", d->memory_gib);
    if ((double)d->limits.memory_bytes < d->memory_gib * 0x1p30)
        fprintf(out, ", %.1f GiB for this control group", (double)d->limits.memory_bytes / 0x1p30);
    fprintf(out, "\n");
    print_threads(d, out);
}

/* ---- JSON ---- */

/* null: no limit */
static json_t *number_or_null(uint64_t number)
{
    return number > INT64_MAX ? json_null() : json_integer((json_int_t)number);
}

/* null: not told, for of what is counted here there is one at least */
static json_t *count_or_null(uint64_t count)
{
    return count ? number_or_null(count) : json_null();
}

static json_t *json_limits(const dd_found *d)
{
    const dd_limits *l = &d->limits;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:i}", "user", number_or_null(l->user.most),
        "user_used", count_or_null(l->user.used), "group", number_or_null(l->group.most),
        "group_used", count_or_null(l->group.used), "system", number_or_null(l->system.most),
        "system_used", count_or_null(l->system.used), "maps", number_or_null(l->maps), "left",
        (json_int_t)(d->threads_left > INT64_MAX ? INT64_MAX : d->threads_left), "workers",
        (int)d->most_workers);
}

static json_t *json_topology(const dd_topology *t)
{
    if (t->n_cpus == 0)
        return json_null();
    json_t *order = json_array();
    for (uint32_t i = 0; i < t->n_cpus; i++)
        (void)json_array_append_new(order, json_integer((json_int_t)t->cpu[i]));
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:i, s:I, s:i, s:I, s:o}", "packages",
                     (int)t->n_packages, "numa_nodes", (int)t->n_numa_nodes, "cores",
                     (int)t->n_cores, "hardware_threads", (int)t->n_threads, "l1d", (int)t->n_l1d,
                     "l1d_bytes", (json_int_t)t->l1d_bytes, "l2", (int)t->n_l2, "l2_bytes",
                     (json_int_t)t->l2_bytes, "l3", (int)t->n_l3, "l3_bytes",
                     (json_int_t)t->l3_bytes, "cpus_in_order", order);
}

json_t *dd_found_json(const dd_found *d)
{
    return json_pack(
        "{s:s, s:s, s:i, s:o, s:o, s:o, s:i, s:s, s:f, s:I, s:o}", "cpu", d->cpu, "vector_sets",
        d->isa, "cpus", (int)d->cpus, "cpus_by_affinity", count_or_null(d->topology.n_cpus),
        "cores", count_or_null(d->topology.n_cpus_cores), "topology", json_topology(&d->topology),
        "protection_keys", (int)d->keys, "protection_keys_why", d->keys_why, "memory_gib",
        d->memory_gib, "memory_limit_bytes", (json_int_t)d->limits.memory_bytes, "threads",
        json_limits(d));
}
