/* SPDX-License-Identifier: MIT
 * The table of `dodeca bench --order`, and the comparisons that run on the trainer's own kernels.
 */
#include "order_bench.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_info.h"
#include "commands.h"
#include "machine.h"
#include "operands.h"
#include "platform.h"
#include "stats.h"

#define WINDOW_NS 10000000u

/* ---- The table ---- */

bool dd_order_wanted(const dd_order_table *t, const char *what)
{
    return !t->o->filter || strstr(what, t->o->filter);
}

static void head(void)
{
    dd_machine m;
    dd_machine_get(&m);
    printf("%s, %u cores; dodeca %s, %s, %s%s%s\n\n"
           "%-48s %-40s %12s  %-26s %12s  %s\n",
           m.cpu, m.cores, dd_build.commit, dd_build.compiler, dd_build.flags,
           dd_build.sanitizer[0] ? ", -fsanitize=" : "", dd_build.sanitizer, "work", "fixed order",
           "us", "free order", "us", "fixed / free");
}

static void foot(void)
{
    puts("\n  us: median of the rounds, of CPU time but for steps; fixed / free: median of the "
         "rounds' "
         "ratios.\n"
         "  Folding two gradients is one addition an element, whatever the order; the order of\n"
         "  several folds changes which buffers meet, not how many.");
}

bool dd_order_add(dd_order_table *t, const char *what, const char *fixed_as, const char *free_as,
                  double *fixed_ns, double *free_ns)
{
    const uint32_t n = t->o->rounds;
    double ratio[DD_ROUNDS_MAX];
    if (t->n == t->capacity) {
        const size_t capacity = t->capacity ? 2 * t->capacity : 16;
        dd_order_row *grown = realloc(t->row, capacity * sizeof *grown);
        if (!grown)
            return false;
        t->row = grown;
        t->capacity = capacity;
    }
    if (!t->n && !t->o->json)
        head();
    dd_order_row *row = &t->row[t->n++];
    for (uint32_t r = 0; r < n; r++)
        ratio[r] = fixed_ns[r] / free_ns[r];
    dd_sort(ratio, n);
    dd_sort(fixed_ns, n);
    dd_sort(free_ns, n);
    (void)snprintf(row->what, sizeof row->what, "%s", what);
    (void)snprintf(row->fixed_as, sizeof row->fixed_as, "%s", fixed_as);
    (void)snprintf(row->free_as, sizeof row->free_as, "%s", free_as);
    row->fixed_ns = dd_quantile(fixed_ns, n, 0.5);
    row->free_ns = dd_quantile(free_ns, n, 0.5);
    row->ratio = dd_quantile(ratio, n, 0.5);
    if (!t->o->json) {
        printf("%-48s %-40s %12.3f  %-26s %12.3f  %5.3f\n", row->what, row->fixed_as,
               row->fixed_ns * 1e-3, row->free_as, row->free_ns * 1e-3, row->ratio);
        (void)fflush(stdout);
    }
    return true;
}

/* ---- Weight gradients of two lanes ---- */

/* gW (M, N) = gy' x over K rows from row `first` on, gy (…, M), x (…, N) */
static void weight_gradient(const dd_case *c, const dd_kernels *set, float *const *at,
                            void *scratch, size_t first, size_t rows, dd_sink sink)
{
    const dd_matmul m = {.M = c->M,
                         .N = c->N,
                         .K = rows,
                         .a = at[0] + first * c->M,
                         .a_row = 1,
                         .a_col = c->M,
                         .b = at[1] + first * c->N,
                         .b_row = c->N,
                         .b_col = 1,
                         .c = at[2],
                         .c_row = c->N,
                         .sink = sink};
    set->matmul(&m, scratch);
}

/* A chain for each lane, the second folded to the first. */
static void run_lanes(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    weight_gradient(c, set, at, scratch, 0, c->K / 2, DD_STORE);
    weight_gradient(c, set, at, scratch, c->K / 2, c->K / 2, DD_FOLD);
}

/* One chain over the rows of both. */
static void run_joined(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    weight_gradient(c, set, at, scratch, 0, c->K, DD_STORE);
}

/* Adds to fixed[r] and loose[r] what both ways take in a step for the matrix of case c. */
static bool compare_lanes(dd_order_table *t, const dd_case *c, const dd_kernels *set, double *fixed,
                          double *loose)
{
    dd_case lanes = *c, joined;
    lanes.K = 2 * c->K;
    lanes.flops = 2 * c->flops;
    lanes.array[0].n *= 2;
    lanes.array[1].n *= 2;
    lanes.run = run_lanes;
    joined = lanes;
    joined.run = run_joined;
    const dd_kernels *reference = dd_kernels_select(DD_SIMD_OFF, NULL);
    dd_operands a = {0}, b = {0};
    dd_difference where;
    bool ok = dd_operands_open(&a, &lanes, reference, t->o->seed) &&
              dd_operands_open(&b, &joined, reference, t->o->seed);
    if (ok && (dd_operands_verify(&a, set, &where) != DD_AGREES ||
               dd_operands_verify(&b, set, &where) != DD_AGREES)) {
        fprintf(stderr, "dodeca bench: FAIL %s %s differs from the reference\n", c->kernel,
                c->shape);
        t->failed = true;
        ok = false;
    }
    for (uint32_t r = 0; ok && r < t->o->rounds; r++) {
        fixed[r] += c->calls * dd_operands_time(&a, set, WINDOW_NS);
        loose[r] += c->calls * dd_operands_time(&b, set, WINDOW_NS);
    }
    dd_operands_close(&a);
    dd_operands_close(&b);
    return ok || t->failed;
}

static bool compare_workload(dd_order_table *t, const dd_workload *w, const char *what)
{
    const dd_kernels *set = dd_kernels_select(DD_SIMD_AUTO, NULL);
    double fixed[DD_ROUNDS_MAX] = {0}, loose[DD_ROUNDS_MAX] = {0};
    char fixed_as[64], free_as[64];
    dd_case_list list = {0};
    bool ok = dd_cases_products_(&list, w);
    for (size_t i = 0; ok && i < list.n; i++)
        if (list.at[i].pass == DD_PASS_LANE && list.at[i].sink == DD_STORE)
            ok = compare_lanes(t, &list.at[i], set, fixed, loose);
    dd_cases_close(&list);
    if (!ok || t->failed)
        return ok;
    const size_t rows = dd_lanes_of_workload(w).rows;
    (void)snprintf(fixed_as, sizeof fixed_as, "store, fold: %zu + %zu rows, %s", rows, rows,
                   set->name);
    (void)snprintf(free_as, sizeof free_as, "one chain: %zu rows", 2 * rows);
    return dd_order_add(t, what, fixed_as, free_as, fixed, loose);
}

bool dd_order_lanes_(dd_order_table *t)
{
    static const dd_workload workloads[] = {{"micro", 8, 128}, {"gpt2-124M", 4, 64}};
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        char what[96];
        (void)snprintf(what, sizeof what, "weight gradients of a step, %s B %u T %u",
                       workloads[i].model, workloads[i].B, workloads[i].T);
        if (dd_order_wanted(t, what) && !compare_workload(t, &workloads[i], what))
            return false;
    }
    return true;
}

/* ---- Folds ---- */

bool dd_order_folds_(dd_order_table *t)
{
    enum { SEGMENTS = 4 };
    const size_t n = (size_t)1 << 24;
    const char *what = "fold of four gradients of 16.8 M";
    if (!dd_order_wanted(t, what))
        return true;
    const dd_kernels *set = dd_kernels_select(DD_SIMD_AUTO, NULL);
    double fixed[DD_ROUNDS_MAX], loose[DD_ROUNDS_MAX];
    float *all = dd_alloc(SEGMENTS * n * sizeof *all), *s[SEGMENTS];
    if (!all)
        return false;
    for (size_t i = 0; i < SEGMENTS * n; i++)
        all[i] = (float)(i % 251) * 0x1p-20f;
    for (size_t i = 0; i < SEGMENTS; i++)
        s[i] = all + i * n;
    for (uint32_t r = 0; r < t->o->rounds; r++) {
        uint64_t begin = dd_thread_cpu_ns();
        set->fold(n, s[0], s[1]);
        set->fold(n, s[2], s[3]);
        set->fold(n, s[0], s[2]);
        fixed[r] = (double)(dd_thread_cpu_ns() - begin);
        begin = dd_thread_cpu_ns();
        set->fold(n, s[0], s[1]);
        set->fold(n, s[0], s[2]);
        set->fold(n, s[0], s[3]);
        loose[r] = (double)(dd_thread_cpu_ns() - begin);
    }
    dd_free(all);
    return dd_order_add(t, what, "(s0 + s1) + (s2 + s3)", "as they arrive, one by one", fixed,
                        loose);
}

/* ---- All ---- */

static bool print_json(const dd_order_table *t)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < t->n; i++) {
        const dd_order_row *r = &t->row[i];
        (void)json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:f, s:f, s:f}", "work",
                                                    r->what, "fixed", r->fixed_as, "free",
                                                    r->free_as, "fixed_ns", r->fixed_ns, "free_ns",
                                                    r->free_ns, "ratio", r->ratio));
    }
    dd_machine m;
    dd_machine_get(&m);
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:o}", "cpu", m.cpu, "cores", (int)m.cores,
                  "commit", dd_build.commit, "compiler", dd_build.compiler, "flags", dd_build.flags,
                  "sanitizer", dd_build.sanitizer, "rows", rows);
    const bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    putchar('\n');
    json_decref(root);
    return ok;
}

int dd_bench_order(const dd_bench_options *o)
{
    dd_order_table t = {.o = o};
    bool ok =
        dd_order_tiles_(&t) && dd_order_lanes_(&t) && dd_order_folds_(&t) && dd_order_steps_(&t);
    if (ok && t.n && !o->json)
        foot();
    if (ok && (t.n || t.failed) && o->json)
        ok = print_json(&t);
    const size_t n = t.n;
    free(t.row);
    if (!ok) {
        fputs("dodeca bench: out of memory\n", stderr);
        return DD_EXIT_ENVIRONMENT;
    }
    if (!n && !t.failed) {
        fprintf(stderr, "dodeca bench: nothing was compared%s%s\n",
                o->filter ? ": no row has that text in its name: " : "",
                o->filter ? o->filter : "");
        return o->filter ? DD_EXIT_USAGE : DD_EXIT_ENVIRONMENT;
    }
    if (t.failed)
        fputs("dodeca bench: FAIL a product is wrong\n", stderr);
    return t.failed ? DD_EXIT_FAILED : DD_EXIT_HELD;
}
