/* SPDX-License-Identifier: MIT
 * The list of cases, and what its parts share. */
#include "bench_case.h"

#include <assert.h>
#include <stdlib.h>

static const dd_workload workloads[] = {
    {"gpt2-124M", 4, 64}, {"gpt2-124M", 4, 256}, {"micro", 8, 128}};
static const char *const models[] = {"gpt2-124M", "micro"};

bool dd_case_add(dd_case_list *list, const dd_case *c)
{
    assert(c->n_arrays <= DD_ARRAYS_MAX && c->copies > 0);
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        dd_case *grown = realloc(list->at, capacity * sizeof *grown);
        if (!grown)
            return false;
        list->at = grown;
        list->capacity = capacity;
    }
    list->at[list->n++] = *c;
    return true;
}

bool dd_cases_register(dd_case_list *list)
{
    *list = (dd_case_list){0};
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (!dd_cases_products_(list, &workloads[i]) || !dd_cases_rows_(list, &workloads[i]))
            return false;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!dd_cases_parameters_(list, models[i]))
            return false;
    return true;
}

void dd_cases_close(dd_case_list *list)
{
    free(list->at);
    *list = (dd_case_list){0};
}

dd_lanes_of dd_lanes_of_workload(const dd_workload *w)
{
    enum { LANES = 12 };
    dd_lanes_of out = {0};
    for (uint32_t l = 0; l < LANES; l++) {
        const size_t sequences = (l + 1) * w->B / LANES - l * w->B / LANES;
        if (!sequences)
            continue;
        assert(!out.n_lanes || out.rows == sequences * w->T);
        out.rows = sequences * w->T;
        out.n_lanes++;
    }
    return out;
}

size_t dd_cold_copies(const dd_shape *s, size_t n)
{
    const size_t sweep = (32u << 20) / sizeof(float), P = dd_shape_n_parameters(s);
    const size_t enough = ((P < sweep ? P : sweep) + n - 1) / n;
    return enough > s->L ? enough : s->L;
}

double dd_case_bytes(const dd_case *c)
{
    double bytes = 0;
    for (unsigned i = 0; i < c->n_arrays; i++)
        bytes +=
            sizeof(float) * (double)c->array[i].n * (c->array[i].role == DD_ROLE_INOUT ? 2 : 1);
    return bytes;
}
