/* SPDX-License-Identifier: MIT
 * The kernel bench's results as text and as JSON. */
#include "kernel_bench.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "build_info.h"
#include "machine.h"

static const char *const pass_names[] = {"forward", "input gradient", "weight gradient"};

void dd_table_head(const dd_bench_options *o, const dd_contender *by, size_t n)
{
    dd_machine m;
    dd_machine_get(&m);
    printf("%s, %u cores; dodeca %s, %s, %s%s%s\n", m.cpu, m.cores, dd_build.commit,
           dd_build.compiler, dd_build.flags, dd_build.sanitizer[0] ? ", -fsanitize=" : "",
           dd_build.sanitizer);
    printf("kernel sets compared with the reference bit by bit, seed %llu; medians of %u rounds; "
           "times are "
           "CPU times\n",
           (unsigned long long)o->seed, o->rounds);
    for (size_t i = 0; i < n; i++)
        if (by[i].peer)
            printf("beside them, one thread: %s: %s\n", by[i].name, dd_peer_about(by[i].peer));
    printf("\n%-20s %12s        %10s  %6s %6s %11s%s\n", "", "rate", "limit", "share", "+-",
           "x reference", o->threads > 1 ? "  x one thread" : "");
}

void dd_table_case(const dd_bench_options *o, const dd_case *c)
{
    (void)o;
    printf("%s", c->workload.model);
    if (c->workload.T)
        printf(" B %u x T %u", c->workload.B, c->workload.T);
    printf(", %s, %s\n", c->kernel, c->shape);
}

void dd_table_row(const dd_bench_options *o, const dd_bench_row *row)
{
    printf("  %-18s %12.2f %-7s %10.2f  %5.1f%% %5.1f%%", row->by->name, row->rate * 1e-9,
           row->c->flops > 0 ? "GFLOP/s" : "GB/s", row->limit * 1e-9, 100 * row->share,
           100 * row->spread);
    if (row->to_reference > 0)
        printf(" %11.1f", row->to_reference);
    if (row->to_one > 0)
        printf("  %12.2f", row->to_one);
    (void)o;
    putchar('\n');
    (void)fflush(stdout);
}

/* The workloads of the cases, each once: calls body(w) for those that have products. */
static bool first_of_step(const dd_case_list *cases, size_t i)
{
    const dd_workload *w = &cases->at[i].workload;
    if (cases->at[i].pass > DD_PASS_WEIGHT)
        return false;
    for (size_t k = 0; k < i; k++) {
        const dd_workload *x = &cases->at[k].workload;
        if (strcmp(x->model, w->model) == 0 && x->B == w->B && x->T == w->T)
            return false;
    }
    return true;
}

static void print_share(bool known, double share, int width)
{
    if (known)
        printf(" %*.1f%%", width - 1, 100 * share);
    else
        printf(" %*s", width, "-");
}

static void print_ratios(const dd_bench_rows *rows, const dd_workload *w, const dd_contender *by)
{
    double time = 0, time_of_one = 0, least = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const dd_bench_row *r = &rows->at[i];
        const dd_workload *x = &r->c->workload;
        if (r->by != by || r->c->pass > DD_PASS_WEIGHT || !(r->to_one > 0) ||
            strcmp(x->model, w->model) != 0 || x->T != w->T)
            continue;
        time += r->c->calls * r->ns / r->to_one;
        time_of_one += r->c->calls * r->ns;
        least = least > 0 && least < r->to_one ? least : r->to_one;
    }
    if (time > 0)
        printf("  %-18s does %.2f times the work of one; the worst shape %.2f\n", by->name,
               time_of_one / time, least);
}

void dd_table_steps(const dd_bench_options *o, const dd_case_list *cases, const dd_bench_rows *rows,
                    const dd_contender *by, size_t n)
{
    for (size_t i = 0; i < cases->n; i++) {
        if (!first_of_step(cases, i))
            continue;
        const dd_workload *w = &cases->at[i].workload;
        bool any = false;
        for (size_t k = 0; k < n; k++) {
            const dd_step_share s = dd_bench_step_share(cases, rows, w, &by[k]);
            if (!s.whole[0] && !s.whole[1] && !s.whole[2])
                continue;
            if (!any)
                printf("\nproducts of one step of %s at B %u x T %u, share of the FMA peak\n"
                       "  %-18s %8s %8s %8s %8s %11s %9s %9s\n",
                       w->model, w->B, w->T, "", "forward", "input", "weight", "all", "with pack",
                       "products", "pack");
            any = true;
            printf("  %-18s", by[k].name);
            for (int p = 0; p < 3; p++)
                print_share(s.whole[p], s.of_pass[p], 8);
            print_share(s.seconds > 0, s.all, 8);
            print_share(s.with_pack > 0, s.with_pack, 11);
            if (s.seconds > 0)
                printf(" %7.3f s", s.seconds);
            if (s.pack_seconds > 0)
                printf(" %7.3f s", s.pack_seconds);
            putchar('\n');
        }
        if (any && o->threads > 1) {
            printf(" with %u threads at once, each on operands of its own\n", o->threads);
            for (size_t k = 0; k < n; k++)
                print_ratios(rows, w, &by[k]);
        }
    }
}

/* ---- JSON ---- */

static json_t *json_row(const dd_bench_row *r)
{
    const dd_case *c = r->c;
    return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:b, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
                     "model", c->workload.model, "B", (int)c->workload.B, "T", (int)c->workload.T,
                     "kernel", c->kernel, "shape", c->shape, "by", r->by->name, "peer",
                     r->by->peer != NULL, "unit", c->flops > 0 ? "FLOP/s" : "B/s", "ns", r->ns,
                     "rate", r->rate, "limit", r->limit, "share", r->share, "spread", r->spread,
                     "to_reference", r->to_reference, "to_one_thread", r->to_one);
}

static json_t *json_share(bool known, double share)
{
    return known ? json_real(share) : json_null();
}

static json_t *json_step(const dd_workload *w, const dd_contender *by, const dd_step_share *s)
{
    json_t *passes = json_object();
    for (int p = 0; p < 3; p++)
        (void)json_object_set_new(passes, pass_names[p], json_share(s->whole[p], s->of_pass[p]));
    return json_pack("{s:s, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:f}", "model", w->model, "B",
                     (int)w->B, "T", (int)w->T, "by", by->name, "share_of_pass", passes, "share",
                     json_share(s->seconds > 0, s->all), "share_with_pack",
                     json_share(s->with_pack > 0, s->with_pack), "seconds",
                     json_share(s->seconds > 0, s->seconds), "pack_seconds", s->pack_seconds);
}

bool dd_table_json(const dd_case_list *cases, const dd_bench_rows *rows, const dd_contender *by,
                   size_t n)
{
    json_t *table = json_array(), *steps = json_array();
    for (size_t i = 0; i < rows->n; i++)
        (void)json_array_append_new(table, json_row(&rows->at[i]));
    for (size_t i = 0; i < cases->n; i++)
        for (size_t k = 0; first_of_step(cases, i) && k < n; k++) {
            const dd_workload *w = &cases->at[i].workload;
            const dd_step_share s = dd_bench_step_share(cases, rows, w, &by[k]);
            if (s.whole[0] || s.whole[1] || s.whole[2])
                (void)json_array_append_new(steps, json_step(w, &by[k], &s));
        }
    dd_machine m;
    dd_machine_get(&m);
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:o, s:o}", "cpu", m.cpu, "cores", (int)m.cores,
                  "commit", dd_build.commit, "compiler", dd_build.compiler, "flags", dd_build.flags,
                  "sanitizer", dd_build.sanitizer, "rows", table, "steps", steps);
    const bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    putchar('\n');
    json_decref(root);
    return ok;
}
