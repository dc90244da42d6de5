/* SPDX-License-Identifier: MIT
 * Kernels as benchmarks: every case on every kernel set that can run, compared with the reference
 * bit by bit before it is timed. Owns the cases, and the operands of one case at a time: they may
 * take gigabytes. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operands.h"
#include "platform.h"

enum { SEED = 1 };

typedef struct contender {
    const dd_case *c;
    const dd_kernels *set;
} contender;

static struct {
    dd_case_list cases;
    contender *contender; /* (cases x sets) */
    const dd_case *open;  /* whose operands these are; NULL: nobody's */
    dd_operands operands;
} kernels;

/* ---- Names ---- */

/* Without what means something in a filter's regular expression, or in a shell. */
static void append_slug(char *to, size_t size, const char *text)
{
    size_t n = strlen(to);
    for (; *text && n + 1 < size; text++) {
        if (strncmp(text, " x ", 3) == 0) {
            to[n++] = 'x';
            text += 2;
        } else if (*text == ' ') {
            to[n++] = '-';
        } else if (*text == '+') {
            to[n++] = '_';
        } else if (*text != ',') {
            to[n++] = *text;
        }
    }
    to[n] = 0;
}

static const char *kernel_name(const dd_case *c)
{
    switch (c->pass) {
    case DD_PASS_FORWARD:
        return "matmul_forward";
    case DD_PASS_INPUT:
        return "matmul_input_gradient";
    case DD_PASS_WEIGHT:
        return "matmul_weight_gradient";
    case DD_PASS_LANE:
        return c->sink == DD_FOLD ? "matmul_lane_gradient_folded" : "matmul_lane_gradient";
    default:
        return c->kernel;
    }
}

static void write_name(char *to, size_t size, const contender *by)
{
    const dd_workload *w = &by->c->workload;
    (void)snprintf(to, size, "kernel/");
    append_slug(to, size, kernel_name(by->c));
    size_t n = strlen(to);
    n += (size_t)snprintf(to + n, size - n, "/%s/%s", by->set->name, w->model);
    if (w->T)
        n += (size_t)snprintf(to + n, size - n, "-B%uxT%u", w->B, w->T);
    (void)snprintf(to + n, size - n, "/");
    append_slug(to, size, by->c->shape);
}

/* ---- Running ---- */

static dd_operands *operands_of(const dd_case *c)
{
    if (kernels.open == c)
        return &kernels.operands;
    if (kernels.open)
        dd_operands_close(&kernels.operands);
    kernels.open = NULL;
    if (!dd_operands_open(&kernels.operands, c, dd_kernels_select(DD_SIMD_OFF, NULL), SEED))
        return NULL;
    kernels.open = c;
    return &kernels.operands;
}

/* The operands if the set may be timed on them; else NULL, and the run is skipped. */
static dd_operands *admitted(gb_state *state, const contender *by)
{
    dd_operands *o = operands_of(by->c);
    dd_difference where;
    const dd_agreement agreement = !o ? DD_NO_MEMORY
                                   : dd_operands_verified(o, by->set)
                                       ? DD_AGREES
                                       : dd_operands_verify(o, by->set, &where);
    if (agreement == DD_NO_MEMORY)
        dd_suite_lacks(state, "out of memory");
    else if (agreement == DD_DIFFERS)
        dd_suite_differs(state, "element %zu of array %u is %a, should be %a", where.element,
                         where.array, where.got, where.want);
    return agreement == DD_AGREES ? o : NULL;
}

static void run(gb_state *state, void *user)
{
    const contender *by = user;
    dd_operands *o = admitted(state, by);
    if (!o)
        return;
    const uint64_t begin = dd_thread_cpu_ns();
    /* over all copies, so that what is cold in a step is cold here */
    while (gb_next_batch(state, (int64_t)by->c->copies))
        dd_operands_repeat(o, by->set, 1);
    if (by->c->flops > 0)
        gb_counter(state, "FLOP/s", by->c->flops, GB_RATE | GB_PER_ITERATION);
    else
        gb_counter(state, "bytes/s", dd_case_bytes(by->c), GB_RATE | GB_PER_ITERATION);
    /* both by the same clock: the reference was timed by the thread's */
    const double ns = (double)(dd_thread_cpu_ns() - begin) / (double)gb_iterations(state);
    gb_counter(state, "x_reference", o->reference_ns / ns, GB_PLAIN);
}

/* ---- All ---- */

static void register_case(const dd_case *c, const dd_kernels *set, contender *by)
{
    char name[192];
    *by = (contender){c, set};
    write_name(name, sizeof name, by);
    gb_set_unit(gb_register(name, GB_REAL_TIME, run, by), GB_MICROSECOND);
}

/* The widest kernels of a case next to the others': its operands are then opened once. */
bool dd_suite_kernels_(void)
{
    static const dd_simd wide[] = {DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    enum { N_WIDE = sizeof wide / sizeof *wide };
    if (!dd_cases_register(&kernels.cases))
        return false;
    kernels.contender = calloc(N_WIDE * kernels.cases.n, sizeof *kernels.contender);
    if (!kernels.contender)
        return false;
    contender *next = kernels.contender;
    for (size_t i = 0; i < kernels.cases.n; i++)
        for (size_t s = 0; s < N_WIDE; s++) {
            const dd_kernels *set = dd_kernels_select(wide[s], NULL);
            if (set)
                register_case(&kernels.cases.at[i], set, next++);
        }
    if (next == kernels.contender)
        dd_suite_left_out("kernel", "this CPU or this build has no kernel set but the reference");
    return true;
}

void dd_suite_kernels_close_(void)
{
    if (kernels.open)
        dd_operands_close(&kernels.operands);
    kernels.open = NULL;
    free(kernels.contender);
    kernels.contender = NULL;
    dd_cases_close(&kernels.cases);
}
