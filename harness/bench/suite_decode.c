/* SPDX-License-Identifier: MIT
 * Sampling as a benchmark: a token after the other through the public API, over all positions in
 * turn, beside the rate at which a sweep reads as many weights from memory or cache, its limit. The
 * logits of every kernel set are compared with the reference's bit by bit before it is timed. Owns
 * the weights and the sampler of one benchmark at a time: they may take a gigabyte. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dodeca.h"
#include "kernels.h"
#include "pages.h"
#include "platform.h"
#include "probe.h"

typedef struct decode {
    const char *model;
    dd_simd simd;
} decode;

static struct {
    const char *model; /* NULL: nothing is open */
    dd_simd simd;
    dd_shape shape;
    float *weights, *want; /* the reference's logits after `text` */
    dd_sampler *sampler;
} at;

/* A prefill, then one token. */
static const uint32_t text[] = {7, 3, 250, 41, 8};
enum { N_TEXT = sizeof text / sizeof *text };

void dd_suite_decode_close_(void)
{
    dd_sampler_close(at.sampler);
    dd_free(at.weights);
    dd_free(at.want);
    memset(&at, 0, sizeof at);
}

/* ---- A model and its sampler ---- */

static bool feed_text(dd_sampler *s)
{
    dd_sampler_clear(s);
    return dd_sampler_feed(s, text, N_TEXT - 1, NULL) == DD_OK &&
           dd_sampler_feed(s, text + N_TEXT - 1, 1, NULL) == DD_OK;
}

static bool open_model(const char *model)
{
    dd_sampler *reference = NULL;
    dd_suite_decode_close_();
    const uint64_t n = dd_shape_named(model, &at.shape) ? dd_shape_n_parameters(&at.shape) : 0;
    at.weights = dd_alloc(n * sizeof *at.weights);
    at.want = dd_alloc(at.shape.V * sizeof *at.want);
    if (!at.weights || !at.want)
        return false;
    dd_pages_huge(at.weights, n * sizeof *at.weights); /* as the sampler's own */
    for (uint64_t i = 0; i < n; i++) /* any that give neither denormals nor infinities */
        at.weights[i] = (float)(i * 2654435761u >> 16 & 1023) * 0x1p-13f - 0x1p-4f;
    if (dd_sampler_open(&at.shape, at.weights, DD_SIMD_OFF, &reference, NULL) != DD_OK)
        return false;
    const bool fed = feed_text(reference);
    if (fed)
        memcpy(at.want, dd_sampler_logits(reference), at.shape.V * sizeof *at.want);
    dd_sampler_close(reference);
    at.model = fed ? model : NULL;
    return fed;
}

static bool open_sampler(const decode *d)
{
    if (at.model != d->model && !open_model(d->model))
        return false;
    if (at.sampler && at.simd == d->simd)
        return true;
    dd_sampler_close(at.sampler);
    at.sampler = NULL;
    at.simd = d->simd;
    return dd_sampler_open(&at.shape, at.weights, d->simd, &at.sampler, NULL) == DD_OK &&
           feed_text(at.sampler);
}

/* ---- Running ---- */

/* Bytes per second of the quickest of a few sweeps over the weights. Time here is the thread's:
 * what else runs on the machine does not count. */
static double sweep_rate(void)
{
    enum { SWEEPS = 5 };
    const dd_streams s = {.n = dd_shape_n_parameters(&at.shape), .n_in = 1, .in = {at.weights}};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < SWEEPS; i++) {
        const uint64_t begin = dd_thread_cpu_ns();
        const float kept = dd_probe_sweep(&s, false);
        gb_keep(&kept);
        const uint64_t ns = dd_thread_cpu_ns() - begin;
        least = ns < least ? ns : least;
    }
    return (double)s.n * sizeof(float) / ((double)least * 1e-9);
}

static void run(gb_state *state, void *user)
{
    const decode *d = user;
    if (!open_sampler(d) || !feed_text(at.sampler)) {
        dd_suite_lacks(state, "no memory for %s", d->model);
        return;
    }
    if (memcmp(at.want, dd_sampler_logits(at.sampler), at.shape.V * sizeof *at.want) != 0) {
        dd_suite_differs(state, "the logits are not those of the reference");
        return;
    }
    dd_sampler_info info;
    dd_sampler_info_get(at.sampler, &info);
    const double limit = sweep_rate(), bytes = (double)info.matrices_bytes;
    uint32_t length = info.length, token = 1;
    bool ok = true;
    const uint64_t begin = dd_thread_cpu_ns();
    while (ok && gb_next(state)) {
        if (length == at.shape.T_max) {
            dd_sampler_clear(at.sampler);
            length = 0;
        }
        ok = dd_sampler_feed(at.sampler, &token, 1, NULL) == DD_OK;
        length++;
        token = (token * 5 + 1) % at.shape.V;
    }
    const double seconds = (double)(dd_thread_cpu_ns() - begin) * 1e-9;
    if (!ok)
        dd_suite_lacks(state, "a token was refused");
    gb_items_processed(state, gb_iterations(state));
    gb_bytes_processed(state, gb_iterations(state) * (int64_t)info.matrices_bytes);
    gb_counter(state, "share_of_sweep", bytes * (double)gb_iterations(state) / seconds / limit,
               GB_PLAIN);
    gb_label(state, "tokens, bytes of weights");
}

/* The sets of a model next to each other: its weights are then made once. */
void dd_suite_decode_(void)
{
    static const char *const models[] = {"nano", "micro", "gpt2-124M"};
    static const dd_simd sets[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    enum { N_MODELS = sizeof models / sizeof *models, N_SETS = sizeof sets / sizeof *sets };
    static decode all[N_MODELS * N_SETS];
    decode *next = all;
    for (size_t m = 0; m < N_MODELS; m++)
        for (size_t k = 0; k < N_SETS; k++) {
            const dd_kernels *set = dd_kernels_select(sets[k], NULL);
            if (!set)
                continue;
            char name[96];
            (void)snprintf(name, sizeof name, "decode/%s/%s", models[m],
                           sets[k] == DD_SIMD_OFF ? "reference" : set->name);
            *next = (decode){models[m], sets[k]};
            gb_set_unit(gb_register(name, GB_REAL_TIME, run, next++), GB_MICROSECOND);
        }
}
