/* SPDX-License-Identifier: MIT
 * Runs the cases. Contender and limit take turns, round after round, so that a change of clock or a
 * neighbour on the machine hits both; what is told is the median of the rounds. */
#include "kernel_bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "operands.h"
#include "peak.h"
#include "stats.h"
#include "threads_at_once.h"

/* At least so long in each round: some passes where one is short. */
#define WINDOW_NS 20000000u

typedef struct bench {
    const dd_bench_options *o;
    dd_case_list cases;
    dd_bench_rows rows;
    const dd_kernels *reference;
    dd_contender by[DD_CONTENDERS_MAX];
    size_t n_by;
    bool differs, no_memory;
    dd_error lack; /* of threads; "" */
} bench;

/* ---- Who runs ---- */

static void add_sets(bench *b)
{
    static const dd_simd wide[] = {DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        const dd_kernels *set = dd_kernels_select(wide[i], NULL);
        if (!set)
            continue;
        dd_contender *c = &b->by[b->n_by++];
        c->set = set;
        (void)snprintf(c->name, sizeof c->name, "%s", set->name);
    }
}

static void add_peers(bench *b)
{
    const size_t n_sets = b->n_by;
    for (unsigned peer = 0; peer < DD_PEERS; peer++)
        for (size_t i = 0; i < n_sets && b->n_by < DD_CONTENDERS_MAX; i++) {
            char why[DD_PEER_WHY_MAX];
            dd_contender *c = &b->by[b->n_by];
            *c = (dd_contender){.set = b->by[i].set};
            (void)snprintf(c->name, sizeof c->name, "%s %s", dd_peer_name(peer), c->set->name);
            if (dd_peer_open(peer, c->set, &c->peer, why)) {
                fprintf(stderr, "dodeca bench: %s: %s\n", c->name, dd_peer_about(c->peer));
                b->n_by++;
            } else {
                fprintf(stderr, "dodeca bench: SKIP %s: %s\n", c->name, why);
            }
        }
}

bool dd_bench_chosen(const dd_bench_options *o, const dd_case *c)
{
    char name[192];
    (void)snprintf(name, sizeof name, "%s T %u %s %s", c->workload.model, c->workload.T, c->kernel,
                   c->shape);
    return !o->filter || strstr(name, o->filter);
}

/* ---- One case ---- */

typedef struct samples {
    double ns[DD_ROUNDS_MAX], limit[DD_ROUNDS_MAX], share[DD_ROUNDS_MAX], to_one[DD_ROUNDS_MAX];
} samples;

static double median(double *x, size_t n)
{
    dd_sort(x, n);
    return dd_quantile(x, n, 0.5);
}

static bool add_row(bench *b, const dd_bench_row *row)
{
    dd_bench_rows *rows = &b->rows;
    if (rows->n == rows->capacity) {
        const size_t capacity = rows->capacity ? 2 * rows->capacity : 256;
        dd_bench_row *grown = realloc(rows->at, capacity * sizeof *grown);
        if (!grown)
            return false;
        rows->at = grown;
        rows->capacity = capacity;
    }
    rows->at[rows->n++] = *row;
    return true;
}

static double work_of(const dd_case *c)
{
    return c->flops > 0 ? c->flops : dd_case_bytes(c);
}

static void tell_difference(bench *b, const dd_case *c, const dd_contender *by,
                            const dd_difference *d)
{
    b->differs = true;
    fprintf(
        stderr, "dodeca bench: FAIL %s %s %s on %s: element %zu of array %u is %a, should be %a\n",
        c->workload.model, c->kernel, c->shape, by->name, d->element, d->array, d->got, d->want);
}

/* Whether a contender may be timed on this case. */
static bool admit(bench *b, const dd_case *c, dd_contender *by, dd_operands *o)
{
    if (by->peer) {
        char why[DD_PEER_WHY_MAX];
        if (c->pass > DD_PASS_WEIGHT)
            return false;
        if (dd_peer_begin(by->peer, c, why))
            return true;
        fprintf(stderr, "dodeca bench: SKIP %s %s on %s: %s\n", c->kernel, c->shape, by->name, why);
        return false;
    }
    dd_difference where;
    switch (dd_operands_verify(o, by->set, &where)) {
    case DD_AGREES:
        return true;
    case DD_DIFFERS:
        tell_difference(b, c, by, &where);
        return false;
    default:
        b->no_memory = true;
        return false;
    }
}

/* returns  false: the threads are not to be had */
static bool run_round(bench *b, const dd_case *c, dd_operands *o, dd_threads_at_once *together,
                      const bool *admitted, samples *all, uint32_t r)
{
    const double bandwidth = c->flops > 0 ? 0 : dd_operands_probe(o, WINDOW_NS);
    for (size_t i = 0; i < b->n_by; i++) {
        samples *s = &all[i];
        if (!admitted[i])
            continue;
        if (b->by[i].peer) {
            s->ns[r] = dd_peer_time(b->by[i].peer, WINDOW_NS, &s->limit[r]);
        } else {
            s->ns[r] = dd_operands_time(o, b->by[i].set, WINDOW_NS);
            s->limit[r] = c->flops > 0 ? dd_peak_at_work(b->by[i].set) : bandwidth;
            if (together && dd_threads_ratio(together, b->by[i].set, WINDOW_NS, &s->to_one[r],
                                             &b->lack) != DD_OK)
                return false;
        }
        s->share[r] = work_of(c) / (s->ns[r] * 1e-9) / s->limit[r];
    }
    return true;
}

static bool finish_row(bench *b, const dd_case *c, const dd_contender *by, samples *s,
                       double reference_ns)
{
    const uint32_t n = b->o->rounds;
    for (uint32_t r = 0; r < n; r++)
        if (!(s->ns[r] > 0)) {
            fprintf(stderr, "dodeca bench: %s ended in %s %s\n", by->name, c->kernel, c->shape);
            return true;
        }
    dd_bench_row row = {.c = c, .by = by};
    row.ns = median(s->ns, n);
    row.rate = work_of(c) / (row.ns * 1e-9);
    row.limit = median(s->limit, n);
    row.share = median(s->share, n);
    row.spread = (s->share[n - 1] - s->share[0]) / 2;
    row.to_reference = by->peer ? 0 : reference_ns / row.ns;
    row.to_one = by->peer || b->o->threads < 2 ? 0 : median(s->to_one, n);
    if (!b->o->json)
        dd_table_row(b->o, &row);
    return add_row(b, &row);
}

static bool run_case(bench *b, const dd_case *c)
{
    static samples all[DD_CONTENDERS_MAX];
    bool admitted[DD_CONTENDERS_MAX] = {false};
    dd_threads_at_once *together = NULL;
    dd_operands o;
    if (!dd_operands_open(&o, c, b->reference, b->o->seed))
        return false;
    for (size_t i = 0; i < b->n_by; i++)
        admitted[i] = admit(b, c, &b->by[i], &o);
    bool ok = b->o->threads < 2 || dd_threads_open(&o, b->o->threads, &together);
    for (uint32_t r = 0; ok && r < b->o->rounds; r++)
        ok = run_round(b, c, &o, together, admitted, all, r);
    if (ok && !b->o->json)
        dd_table_case(b->o, c);
    for (size_t i = 0; ok && i < b->n_by; i++)
        if (admitted[i])
            ok = finish_row(b, c, &b->by[i], &all[i], o.reference_ns);
    dd_threads_close(together);
    dd_operands_close(&o);
    return ok && !b->no_memory;
}

/* ---- Sums over a step ---- */

static bool same_step(const dd_workload *a, const dd_workload *b)
{
    return strcmp(a->model, b->model) == 0 && a->B == b->B && a->T == b->T;
}

static const dd_bench_row *row_of(const dd_bench_rows *rows, const dd_case *c,
                                  const dd_contender *by)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->at[i].c == c && rows->at[i].by == by)
            return &rows->at[i];
    return NULL;
}

dd_step_share dd_bench_step_share(const dd_case_list *cases, const dd_bench_rows *rows,
                                  const dd_workload *w, const dd_contender *by)
{
    dd_step_share out = {.whole = {true, true, true}};
    double flops[3] = {0}, at_peak[3] = {0}, seconds = 0, limit = 0, pack = 0;
    bool pack_whole = true;
    for (size_t i = 0; i < cases->n; i++) {
        const dd_case *c = &cases->at[i];
        const dd_bench_row *row = row_of(rows, c, by);
        if (c->pass == DD_PASS_PACK && strcmp(c->workload.model, w->model) == 0) {
            pack_whole = pack_whole && row;
            pack += row ? row->ns * 1e-9 * c->calls : 0;
        }
        if (c->pass > DD_PASS_WEIGHT || !same_step(&c->workload, w))
            continue;
        if (!row) {
            out.whole[c->pass] = false;
            continue;
        }
        flops[c->pass] += c->calls * c->flops;
        at_peak[c->pass] += c->calls * c->flops / row->share;
        seconds += c->calls * row->ns * 1e-9;
        limit = row->limit > limit ? row->limit : limit;
    }
    double all_flops = 0, all_at_peak = 0;
    for (int p = 0; p < 3; p++) {
        out.of_pass[p] = flops[p] / at_peak[p];
        all_flops += flops[p];
        all_at_peak += at_peak[p];
    }
    if (!out.whole[0] || !out.whole[1] || !out.whole[2])
        return out;
    out.all = all_flops / all_at_peak;
    out.seconds = seconds;
    if (by->peer) {
        out.with_pack = out.all;
    } else if (pack_whole) {
        out.pack_seconds = pack;
        out.with_pack = all_flops / (all_at_peak + pack * limit);
    }
    return out;
}

/* ---- All ---- */

static void list_cases(const bench *b)
{
    for (size_t i = 0; i < b->cases.n; i++) {
        const dd_case *c = &b->cases.at[i];
        if (dd_bench_chosen(b->o, c))
            printf("%s T %u %s %s\n", c->workload.model, c->workload.T, c->kernel, c->shape);
    }
}

static int run_cases(bench *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->cases.n; i++)
        n += dd_bench_chosen(b->o, &b->cases.at[i]);
    if (!n) {
        fprintf(stderr, "dodeca bench: no case has \"%s\" in its name; --list prints them all\n",
                b->o->filter);
        return DD_EXIT_USAGE;
    }
    if (b->o->list) {
        list_cases(b);
        return DD_EXIT_HELD;
    }
    add_sets(b);
    if (!b->n_by) {
        fputs("dodeca bench: this CPU or this build has no kernel set but the reference\n", stderr);
        return DD_EXIT_ENVIRONMENT;
    }
    if (b->o->peers)
        add_peers(b);
    if (!b->o->json)
        dd_table_head(b->o, b->by, b->n_by);
    for (size_t i = 0; i < b->cases.n; i++) {
        if (!dd_bench_chosen(b->o, &b->cases.at[i]))
            continue;
        if (!run_case(b, &b->cases.at[i])) {
            fprintf(stderr, "dodeca bench: %s\n",
                    b->lack.message[0] ? b->lack.message : "out of memory");
            return DD_EXIT_ENVIRONMENT;
        }
    }
    if (!b->o->json) {
        dd_table_steps(b->o, &b->cases, &b->rows, b->by, b->n_by);
    } else if (!dd_table_json(&b->cases, &b->rows, b->by, b->n_by)) {
        fputs("dodeca bench: out of memory\n", stderr);
        return DD_EXIT_ENVIRONMENT;
    }
    return b->differs ? DD_EXIT_FAILED : DD_EXIT_HELD;
}

int dd_bench_kernels(const dd_bench_options *o)
{
    bench b = {.o = o, .reference = dd_kernels_select(DD_SIMD_OFF, NULL)};
    int code = DD_EXIT_ENVIRONMENT;
    if (dd_cases_register(&b.cases))
        code = run_cases(&b);
    else
        fputs("dodeca bench: out of memory\n", stderr);
    for (size_t i = 0; i < b.n_by; i++)
        dd_peer_close(b.by[i].peer);
    free(b.rows.at);
    dd_cases_close(&b.cases);
    return code;
}
