/* SPDX-License-Identifier: MIT
 * Seeded operands, comparison and timing of one case. */
#include "operands.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "pages.h"
#include "platform.h"
#include "probe.h"

/* ---- Values ---- */

/* source   Vigna, splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void fill_targets(uint32_t *to, const dd_array *a, uint64_t state)
{
    for (size_t i = 0; i < a->n; i++)
        to[i] = (uint32_t)(next_random(&state) % a->bound);
}

static void fill(float *to, const dd_array *a, uint64_t state)
{
    if (a->fill == DD_FILL_TARGETS) {
        fill_targets((uint32_t *)(void *)to, a, state);
        return;
    }
    /* 24 bits: multiples of 2^-24 in (0, 1), or of 2^-23 in (-1, 1), never 0 */
    const bool positive = a->fill == DD_FILL_POSITIVE;
    for (size_t i = 0; i < a->n; i++) {
        const float x = ((float)(next_random(&state) >> 41) + 0.5f) * 0x1p-23f;
        to[i] = positive ? x : 2 * x - 1;
    }
    if (a->fill == DD_FILL_PANELS && a->columns % 16) {
        float *last = to + a->columns / 16 * 16 * a->bound;
        for (size_t k = 0; k < a->bound; k++)
            memset(last + 16 * k + a->columns % 16, 0, (16 - a->columns % 16) * sizeof *last);
    }
}

static void fill_first(dd_operands *o)
{
    for (unsigned i = 0; i < o->c->n_arrays; i++)
        fill(o->memory[i], &o->c->array[i], o->seed + ((uint64_t)i << 32));
}

/* ---- Memory ---- */

static void at_copy(const dd_operands *o, size_t copy, float *at[DD_ARRAYS_MAX])
{
    for (unsigned i = 0; i < o->c->n_arrays; i++)
        at[i] = o->memory[i] + copy * o->stride[i];
}

/* Scratch is asked for by the largest sizes of any kernel's meaning of the case. */
static size_t scratch_for(const dd_case *c, const dd_kernels *set)
{
    const size_t n = c->N > c->M ? c->N : c->M;
    const size_t k = c->K > n ? c->K : n;
    const bool attention = c->K && c->pass == DD_PASS_OTHER;
    return set->scratch_bytes(n, k, attention ? c->M : 1, attention ? c->N / c->K : 1);
}

static bool grow_scratch(dd_operands *o, const dd_kernels *set)
{
    const size_t bytes = scratch_for(o->c, set);
    if (bytes <= o->scratch_bytes)
        return true;
    dd_free(o->scratch);
    o->scratch = dd_alloc(bytes);
    o->scratch_bytes = o->scratch ? bytes : 0;
    return o->scratch != NULL;
}

/* As weights and activations of a trainer lie. */
static float *floats_alloc(size_t n)
{
    float *memory = dd_alloc(n * sizeof *memory);
    if (memory)
        dd_pages_huge(memory, n * sizeof *memory);
    return memory;
}

static size_t floats_of(const dd_operands *o, unsigned i)
{
    return (o->c->copies - 1) * o->stride[i] + o->c->array[i].n;
}

bool dd_operands_clone(const dd_operands *o, dd_operands *out)
{
    *out = *o;
    memset(out->memory, 0, sizeof out->memory);
    memset(out->want, 0, sizeof out->want);
    out->scratch = dd_alloc(o->scratch_bytes);
    if (!out->scratch)
        goto fail;
    for (unsigned i = 0; i < o->c->n_arrays; i++) {
        const size_t n = floats_of(o, i);
        out->memory[i] = floats_alloc(n);
        if (!out->memory[i])
            goto fail;
        memcpy(out->memory[i], o->memory[i], n * sizeof(float));
    }
    return true;

fail:
    dd_operands_close(out);
    return false;
}

bool dd_operands_open(dd_operands *o, const dd_case *c, const dd_kernels *reference, uint64_t seed)
{
    *o = (dd_operands){.c = c, .seed = seed};
    for (unsigned i = 0; i < c->n_arrays; i++) {
        const dd_array *a = &c->array[i];
        o->stride[i] = a->cold ? (a->n + 15) / 16 * 16 : 0;
        o->memory[i] = floats_alloc(floats_of(o, i));
        if (a->role != DD_ROLE_IN)
            o->want[i] = dd_alloc(a->n * sizeof(float));
        if (!o->memory[i] || (a->role != DD_ROLE_IN && !o->want[i]))
            goto fail;
    }
    if (!grow_scratch(o, reference))
        goto fail;
    fill_first(o);
    float *at[DD_ARRAYS_MAX];
    for (size_t copy = 1; copy < c->copies; copy++) {
        at_copy(o, copy, at);
        for (unsigned i = 0; i < c->n_arrays; i++)
            if (o->stride[i])
                memcpy(at[i], o->memory[i], c->array[i].n * sizeof(float));
    }
    at_copy(o, 0, at);
    const uint64_t begin = dd_thread_cpu_ns();
    c->run(c, reference, at, o->scratch);
    o->reference_ns = (double)(dd_thread_cpu_ns() - begin);
    for (unsigned i = 0; i < c->n_arrays; i++)
        if (o->want[i])
            memcpy(o->want[i], at[i], c->array[i].n * sizeof(float));
    return true;

fail:
    dd_operands_close(o);
    return false;
}

void dd_operands_close(dd_operands *o)
{
    for (unsigned i = 0; i < DD_ARRAYS_MAX; i++) {
        dd_free(o->memory[i]);
        dd_free(o->want[i]);
    }
    dd_free(o->scratch);
    *o = (dd_operands){0};
}

/* ---- Comparison ---- */

bool dd_operands_verified(const dd_operands *o, const dd_kernels *set)
{
    for (size_t i = 0; i < o->n_verified; i++)
        if (o->verified[i] == set)
            return true;
    return false;
}

dd_agreement dd_operands_verify(dd_operands *o, const dd_kernels *set, dd_difference *where)
{
    const dd_case *c = o->c;
    if (o->n_verified == DD_SETS_MAX || !grow_scratch(o, set))
        return DD_NO_MEMORY;
    float *at[DD_ARRAYS_MAX];
    fill_first(o);
    at_copy(o, 0, at);
    c->run(c, set, at, o->scratch);
    for (unsigned i = 0; i < c->n_arrays; i++) {
        if (!o->want[i] || memcmp(at[i], o->want[i], c->array[i].n * sizeof(float)) == 0)
            continue;
        size_t e = 0;
        while (memcmp(at[i] + e, o->want[i] + e, sizeof(float)) == 0)
            e++;
        *where = (dd_difference){i, e, (double)at[i][e], (double)o->want[i][e]};
        return DD_DIFFERS;
    }
    o->verified[o->n_verified++] = set;
    return DD_AGREES;
}

/* ---- Timing ---- */

void dd_operands_repeat(dd_operands *o, const dd_kernels *set, unsigned passes)
{
    assert(dd_operands_verified(o, set));
    float *at[DD_ARRAYS_MAX];
    for (unsigned p = 0; p < passes; p++)
        for (size_t copy = 0; copy < o->c->copies; copy++) {
            at_copy(o, copy, at);
            o->c->run(o->c, set, at, o->scratch);
        }
}

double dd_operands_time(dd_operands *o, const dd_kernels *set, uint64_t at_least_ns)
{
    uint64_t best = UINT64_MAX, begin = dd_thread_cpu_ns(), before = begin, now;
    do {
        dd_operands_repeat(o, set, 1);
        now = dd_thread_cpu_ns();
        best = now - before < best ? now - before : best;
        before = now;
    } while (now - begin < at_least_ns);
    return (double)best / (double)o->c->copies;
}

/* Arrays of less than a quarter of the largest do not count: a row of weights, a mean for each row.
 * The others are swept up to the length of the shortest. */
static dd_streams streams_of(const dd_operands *o, size_t copy)
{
    const dd_case *c = o->c;
    dd_streams s = {0};
    float *at[DD_ARRAYS_MAX];
    at_copy(o, copy, at);
    size_t most = 0;
    for (unsigned i = 0; i < c->n_arrays; i++)
        most = c->array[i].n > most ? c->array[i].n : most;
    s.n = most;
    for (unsigned i = 0; i < c->n_arrays; i++) {
        if (c->array[i].n < most / 4)
            continue;
        s.n = c->array[i].n < s.n ? c->array[i].n : s.n;
        if (c->array[i].role == DD_ROLE_IN)
            s.in[s.n_in++] = at[i];
        else if (c->array[i].role == DD_ROLE_INOUT)
            s.inout[s.n_inout++] = at[i];
        else
            s.out[s.n_out++] = at[i];
    }
    return s;
}

double dd_operands_probe(dd_operands *o, uint64_t at_least_ns)
{
    double best = 0;
    float sum = 0;
    /* with streaming stores, too, where something is written that is not read */
    const bool writes = streams_of(o, 0).n_out > 0;
    for (int streaming = 0; streaming <= (writes ? 1 : 0); streaming++) {
        uint64_t begin = dd_thread_cpu_ns(), before = begin, now;
        do {
            double bytes = 0;
            for (size_t copy = 0; copy < o->c->copies; copy++) {
                const dd_streams s = streams_of(o, copy);
                sum += dd_probe_sweep(&s, streaming);
                bytes += sizeof(float) * (double)s.n * (double)(s.n_in + 2 * s.n_inout + s.n_out);
            }
            now = dd_thread_cpu_ns();
            const double rate = bytes / ((double)(now - before) * 1e-9);
            best = rate > best && !isnan(sum) ? rate : best;
            before = now;
        } while (now - begin < at_least_ns);
    }
    return best;
}
