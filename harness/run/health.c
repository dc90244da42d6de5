/* SPDX-License-Identifier: MIT
 * Asks the trainer and the kernel; formats. */
#include "health.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A thread as it was last looked at. */
typedef struct seen {
    dd_sphere_info info;
    uint64_t changed_ns; /* when its heartbeat was last found to be another */
} seen;

struct dd_health {
    const dd_subject_api *subject;
    const void *self;
    uint32_t n, room;
    seen *thread;
};

dd_status dd_health_open(const dd_subject_api *subject, const void *self, dd_health **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return DD_ERR_MEMORY;
    (*out)->subject = subject;
    (*out)->self = self;
    return DD_OK;
}

void dd_health_close(dd_health *h)
{
    if (!h)
        return;
    free(h->thread);
    free(h);
}

void dd_health_look(dd_health *h, uint64_t now_ns)
{
    dd_sphere_info info;
    for (uint32_t i = 0; h->subject->thread(h->self, i, true, &info); i++) {
        if (i == h->room) {
            uint32_t room = h->room ? 2 * h->room : 16;
            seen *grown = realloc(h->thread, room * sizeof *grown);
            if (!grown)
                return; /* those that are known already are looked at all the same */
            h->thread = grown;
            h->room = room;
        }
        seen *s = &h->thread[i];
        if (i >= h->n || s->info.heartbeat != info.heartbeat)
            s->changed_ns = now_ns;
        s->info = info;
        if (i >= h->n)
            h->n = i + 1;
    }
}

/* ---- What the kernel knows ---- */

/* "running", "asleep", …; a parked thread is one that the pool holds. */
static const char *state_of(const dd_sphere_info *info)
{
    char path[64], text[512], state = '?';
    if (info->parked)
        return "parked";
    if (info->tid) {
        (void)snprintf(path, sizeof path, "/proc/self/task/%" PRIu32 "/stat", info->tid);
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        text[n] = '\0';
        const char *after = strrchr(text, ')'); /* the name before it may hold anything */
        if (after && after[1] == ' ')
            state = after[2];
        if (f)
            (void)fclose(f);
    }
    return state == 'R'                   ? "running"
           : state == 'S'                 ? "asleep"
           : state == 'D'                 ? "blocked"
           : state == 'T' || state == 't' ? "stopped"
                                          : "unknown";
}

dd_usage dd_usage_now(void)
{
    dd_usage u = {0};
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        u.cpu_ns =
            ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000 +
            ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
        u.peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
    }
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f) {
        if (fscanf(f, "%lu %lu", &size, &resident) == 2)
            u.rss_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
        (void)fclose(f);
    }
    if (u.peak_rss_bytes &&
        u.peak_rss_bytes < u.rss_bytes) /* the kernel's two counts differ a little */
        u.peak_rss_bytes = u.rss_bytes;
    return u;
}

/* ---- The table ---- */

/* Node Zero, then the silent, then the busy; parked threads last. */
static int by_interest(const void *left, const void *right)
{
    const seen *a = *(const seen *const *)left, *b = *(const seen *const *)right;
    if (!a->info.thread != !b->info.thread)
        return a->info.thread ? 1 : -1;
    if (a->info.parked != b->info.parked)
        return a->info.parked ? 1 : -1;
    if (!a->info.parked && a->changed_ns != b->changed_ns)
        return a->changed_ns < b->changed_ns ? -1 : 1;
    if (a->info.cpu_ns != b->info.cpu_ns)
        return a->info.cpu_ns > b->info.cpu_ns ? -1 : 1;
    return a->info.thread < b->info.thread ? -1 : 1;
}

static int by_thread(const void *left, const void *right)
{
    const seen *a = *(const seen *const *)left, *b = *(const seen *const *)right;
    return a->info.thread < b->info.thread ? -1 : a->info.thread > b->info.thread;
}

static const char *role_of(const dd_health *h, const dd_sphere_info *info)
{
    return h->subject->spheres && info->thread == 0 ? "Node Zero"
           : info->control                          ? "control"
                                                    : "worker";
}

/* A subject without spheres folds, steals and waits at no points. */
static void print_sphere_part(const dd_health *h, const dd_sphere_info *i, FILE *to)
{
    if (h->subject->spheres)
        fprintf(to, " %9" PRIu64 " %7" PRIu64 " %8.1f %8.1f %8.1f %8.1f", i->folds, i->steals,
                (double)i->wait_ns[0] / 1e6, (double)i->wait_ns[1] / 1e6,
                (double)i->wait_ns[2] / 1e6, (double)i->wait_ns[3] / 1e6);
    else
        fprintf(to, " %9s %7s %8s %8s %8s %8s", "-", "-", "-", "-", "-", "-");
}

static void print_row(const dd_health *h, const seen *s, uint64_t now_ns, FILE *to)
{
    const dd_sphere_info *i = &s->info;
    fprintf(to, "  %-9s %6" PRIu32 " %7" PRIu32 " %-9s %-8s %9" PRIu64,
            i->sphere[0] ? i->sphere : "-", i->thread, i->tid, role_of(h, i), state_of(i),
            i->lanes_done);
    print_sphere_part(h, i, to);
    fprintf(to, " %9.1f %7.2f\n", (double)i->cpu_ns / 1e6, (double)(now_ns - s->changed_ns) / 1e9);
}

void dd_health_print(const dd_health *h, uint64_t done, uint64_t now_ns, FILE *to)
{
    const seen **row = calloc(h->n + 1, sizeof *row);
    if (!row)
        return;
    for (uint32_t i = 0; i < h->n; i++)
        row[i] = &h->thread[i];
    uint32_t shown = h->n < DD_HEALTH_ROWS ? h->n : DD_HEALTH_ROWS;
    qsort(row, h->n, sizeof *row, by_interest);
    qsort(row, shown, sizeof *row, by_thread);
    dd_usage u = dd_usage_now();
    fprintf(to,
            "health after %" PRIu64
            " step%s: process CPU %.1f s, memory %.1f MiB, at most %.1f MiB; "
            "waits at A, B, V, U and CPU in ms, beat: seconds ago\n"
            "  %-9s %6s %7s %-9s %-8s %9s %9s %7s %8s %8s %8s %8s %9s %7s\n",
            done, done == 1 ? "" : "s", (double)u.cpu_ns / 1e9, (double)u.rss_bytes / 0x1p20,
            (double)u.peak_rss_bytes / 0x1p20, "sphere", "thread", "tid", "role", "state", "lanes",
            "folds", "steals", "A", "B", "V", "U", "CPU", "beat");
    for (uint32_t i = 0; i < shown; i++)
        print_row(h, row[i], now_ns, to);
    if (shown < h->n)
        fprintf(to, "  %" PRIu32 " more, all heard of more lately or less busy, are left out\n",
                h->n - shown);
    free(row);
}

json_t *dd_health_json(const dd_health *h, uint64_t done, uint64_t now_ns)
{
    dd_usage u = dd_usage_now();
    json_t *spheres = json_array();
    for (uint32_t t = 0; t < h->n; t++) {
        const dd_sphere_info *i = &h->thread[t].info;
        json_t *row = json_pack(
            "{s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "sphere",
            i->sphere, "thread", (json_int_t)i->thread, "tid", (json_int_t)i->tid, "role",
            role_of(h, i), "state", state_of(i), "lanes", (json_int_t)i->lanes_done, "folds",
            (json_int_t)i->folds, "steals", (json_int_t)i->steals, "heartbeat",
            (json_int_t)i->heartbeat, "wait_a_ns", (json_int_t)i->wait_ns[0], "wait_b_ns",
            (json_int_t)i->wait_ns[1], "wait_v_ns", (json_int_t)i->wait_ns[2], "wait_u_ns",
            (json_int_t)i->wait_ns[3], "cpu_ns", (json_int_t)i->cpu_ns, "beat_s",
            (double)(now_ns - h->thread[t].changed_ns) / 1e9);
        (void)json_array_append_new(spheres, row);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "health", (json_int_t)done, "cpu_ns",
                     (json_int_t)u.cpu_ns, "rss_bytes", (json_int_t)u.rss_bytes, "peak_rss_bytes",
                     (json_int_t)u.peak_rss_bytes, "spheres", spheres);
}
