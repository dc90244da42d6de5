/* SPDX-License-Identifier: MIT
 * The kernels that run over all parameters once a step, as cases: fold, norm, AdamW and packing. */
#include <stdio.h>
#include <string.h>

#include "bench_case.h"

static const dd_adamw update = {.clip = 0.5f,
                                .b1 = 0.9f,
                                .b2 = 0.95f,
                                .a1 = 0.1f,
                                .a2 = 0.05f,
                                .r1 = 1.25f,
                                .r2 = 1.5f,
                                .eps = 1e-8f,
                                .lr = 1e-4f,
                                .weight_decay = 0.1f,
                                .decayed = true};

static void run_fold(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->fold(c->N, at[0], at[1]);
}

static void run_sum_squares(const dd_case *c, const dd_kernels *set, float *const *at,
                            void *scratch)
{
    (void)scratch;
    for (size_t i = 0; i < c->N; i += DD_NORM_BLOCK) {
        const size_t left = c->N - i;
        const double sum = set->sum_squares(left < DD_NORM_BLOCK ? left : DD_NORM_BLOCK, at[0] + i);
        memcpy(at[1] + i / DD_NORM_BLOCK * 2, &sum, sizeof sum);
    }
}

static void run_adamw(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->adamw(c->N, at[0], at[1], at[2], at[3], &update);
}

/* W (M, N) to panels; N is the number of inputs. */
static void run_pack(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->pack(c->M, c->N, 0, c->M * c->N, at[0], at[1], at[2]);
}

/* As the trainer updates a matrix: sixteen rows at a time, packed while they are in the cache. */
static void run_adamw_pack(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    const size_t all = c->M * c->N, piece = 16 * c->N;
    for (size_t i = 0; i < all; i += piece) {
        const size_t last = all - i < piece ? all : i + piece;
        set->adamw(last - i, at[0] + i, at[1] + i, at[2] + i, at[3] + i, &update);
        set->pack(c->M, c->N, i, last, at[0], at[4], at[5]);
    }
}

static bool add_flat(dd_case_list *list, const dd_workload *w, const dd_shape *s)
{
    const size_t n = dd_shape_n_parameters(s) / s->L; /* all layers' copies are all parameters */
    const dd_array in = {.n = n, .cold = true};
    const dd_array inout = {.n = n, .role = DD_ROLE_INOUT, .cold = true};
    const dd_array moment = {.n = n, .role = DD_ROLE_INOUT, .fill = DD_FILL_POSITIVE, .cold = true};
    const dd_array sums = {
        .n = (n + DD_NORM_BLOCK - 1) / DD_NORM_BLOCK * 2, .role = DD_ROLE_OUT, .cold = true};
    const struct {
        const char *kernel;
        void (*run)(const dd_case *, const dd_kernels *, float *const *, void *);
        unsigned n_arrays;
        dd_array array[4];
    } kernels[] = {
        {"fold", run_fold, 2, {inout, in}},
        {"sum_squares", run_sum_squares, 2, {in, sums}},
        {"adamw", run_adamw, 4, {inout, inout, moment, in}},
    };
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        dd_case c = {.kernel = kernels[i].kernel,
                     .workload = *w,
                     .pass = DD_PASS_OTHER,
                     .copies = s->L,
                     .n_arrays = kernels[i].n_arrays,
                     .run = kernels[i].run,
                     .M = 1,
                     .N = n};
        for (unsigned a = 0; a < c.n_arrays; a++)
            c.array[a] = kernels[i].array[a];
        (void)snprintf(c.shape, sizeof c.shape, "%u x %zu", s->L, n);
        if (!dd_case_add(list, &c))
            return false;
    }
    return true;
}

static bool add_pack(dd_case_list *list, const dd_workload *w, const dd_shape *s, const char *name,
                     size_t outputs, size_t inputs, bool per_layer)
{
    const size_t n = outputs * inputs, output_panels = (outputs + 15) / 16 * 16 * inputs,
                 input_panels = (inputs + 15) / 16 * 16 * outputs;
    dd_case c = {.kernel = "pack",
                 .workload = *w,
                 .pass = DD_PASS_PACK,
                 .calls = per_layer ? s->L : 1,
                 .copies = dd_cold_copies(s, n),
                 .n_arrays = 3,
                 .array = {{.n = n, .cold = true},
                           {.n = output_panels, .role = DD_ROLE_OUT, .cold = true},
                           {.n = input_panels, .role = DD_ROLE_OUT, .cold = true}},
                 .run = run_pack,
                 .M = outputs,
                 .N = inputs};
    if (n * sizeof(float) >= 32u << 20)
        c.copies = 1;
    (void)snprintf(c.shape, sizeof c.shape, "%s %zu x %zu", name, outputs, inputs);
    if (!dd_case_add(list, &c))
        return false;
    c.kernel = "adamw+pack";
    c.pass = DD_PASS_OTHER;
    c.run = run_adamw_pack;
    c.n_arrays = 6;
    c.array[4] = c.array[1];
    c.array[5] = c.array[2];
    c.array[0] = c.array[1] = (dd_array){.n = n, .role = DD_ROLE_INOUT, .cold = true};
    c.array[2] = (dd_array){.n = n, .role = DD_ROLE_INOUT, .fill = DD_FILL_POSITIVE, .cold = true};
    c.array[3] = (dd_array){.n = n, .cold = true};
    return dd_case_add(list, &c);
}

bool dd_cases_parameters_(dd_case_list *list, const char *model)
{
    const dd_workload w = {.model = model};
    dd_shape s;
    if (!dd_shape_named(model, &s))
        return false;
    const size_t C = s.C;
    return add_flat(list, &w, &s) && add_pack(list, &w, &s, "wte", s.V, C, false) &&
           add_pack(list, &w, &s, "qkvw", 3 * C, C, true) &&
           add_pack(list, &w, &s, "attprojw", C, C, true) &&
           add_pack(list, &w, &s, "fcw", 4 * C, C, true) &&
           add_pack(list, &w, &s, "fcprojw", C, 4 * C, true);
}
