/* SPDX-License-Identifier: MIT
 * Times kernels, memory, clock and noise on the calling thread. */
#include "doctor_measure.h"

#include <stdlib.h>
#include <string.h>

#include "peak.h"
#include "platform.h"

enum { ROWS = 128, ROUNDS = 5, WINDOW_NS = 3000000 };

/* ---- Products ---- */

/* The five matrices of micro: outputs x inputs. */
static const struct {
    const char *name;
    uint32_t outputs, inputs;
} layers[] = {
    {"qkv", 768, 256},     {"attproj", 256, 256}, {"fc", 1024, 256},
    {"fcproj", 256, 1024}, {"logits", 512, 256},
};
enum { LAYERS = sizeof layers / sizeof layers[0], LARGEST = 1024 * 256 };

/* One layer's operands: weights as a step keeps them, in panels. */
typedef struct operands {
    float *x, *gy;          /* (rows, inputs), (rows, outputs) */
    float *forward, *input; /* panels */
    float *y;               /* what is written */
} operands;

/* The three products of a layer, with the strides that the model gives them. */
static dd_matmul product_of(int layer, int pass, const operands *o)
{
    size_t out = layers[layer].outputs, in = layers[layer].inputs;
    switch (pass) {
    case 0: /* y (rows, out) = x W' */
        return (dd_matmul){.M = ROWS,
                           .N = out,
                           .K = in,
                           .a = o->x,
                           .a_row = in,
                           .a_col = 1,
                           .panels = o->forward,
                           .panel_pitch = 16 * in,
                           .c = o->y,
                           .c_row = out,
                           .sink = DD_STORE};
    case 1: /* gx (rows, in) = gy W */
        return (dd_matmul){.M = ROWS,
                           .N = in,
                           .K = out,
                           .a = o->gy,
                           .a_row = out,
                           .a_col = 1,
                           .panels = o->input,
                           .panel_pitch = 16 * out,
                           .c = o->y,
                           .c_row = in,
                           .sink = DD_STORE};
    default: /* gW (out, in) = gy' x */
        return (dd_matmul){.M = out,
                           .N = in,
                           .K = ROWS,
                           .a = o->gy,
                           .a_row = 1,
                           .a_col = out,
                           .b = o->x,
                           .b_row = in,
                           .b_col = 1,
                           .c = o->y,
                           .c_row = in,
                           .sink = DD_STORE};
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Operations per second: the best call of a few milliseconds, as the peak is the best of its runs.
 */
static double product_flops(const dd_kernels *set, const dd_matmul *m, void *scratch)
{
    uint64_t best = UINT64_MAX, begin = dd_now_ns(), now = begin;
    for (int calls = 0; calls < 3 || now - begin < WINDOW_NS; calls++) {
        uint64_t before = now;
        set->matmul(m, scratch);
        now = dd_now_ns();
        best = now - before < best ? now - before : best;
    }
    return 2.0 * (double)m->M * (double)m->N * (double)m->K / ((double)best * 1e-9);
}

void dd_product_take(dd_product *p, const double *flops, const double *peak, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double share = flops[i] / peak[i];
        size_t below = 0;
        for (size_t k = 0; k < n; k++)
            below += flops[k] / peak[k] < share || (k < i && flops[k] / peak[k] == share);
        if (below != n / 2)
            continue;
        p->gflops = flops[i] * 1e-9;
        p->peak_gflops = peak[i] * 1e-9;
        p->share = share;
    }
}

static void measure_product(const dd_kernels *set, const dd_matmul *m, void *scratch,
                            dd_products *out, dd_product *p)
{
    double peak[ROUNDS], flops[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        peak[r] = dd_peak_flops(set);
        flops[r] = product_flops(set, m, scratch);
        if (peak[r] > out->peak_gflops * 1e9)
            out->peak_gflops = peak[r] * 1e-9;
    }
    dd_product_take(p, flops, peak, ROUNDS);
}

bool dd_measure_products(const dd_kernels *set, dd_products *out)
{
    static const char *const passes[] = {"forward", "input gradient", "weight gradient"};
    *out = (dd_products){0};
    operands o;
    float **const each[] = {&o.x, &o.gy, &o.forward, &o.input, &o.y};
    enum { ARRAYS = sizeof each / sizeof each[0] };
    void *scratch = dd_alloc(set->scratch_bytes(1024, 1024, ROWS, 32));
    bool ok = scratch;
    for (size_t i = 0; i < ARRAYS; i++) {
        float *p = *each[i] = dd_alloc(LARGEST * sizeof *p);
        ok = ok && p;
        for (size_t n = 0; ok && n < LARGEST; n++)
            p[n] = (float)(n % (251 - 10 * i)) / 251 - 0.5f;
    }
    double operations[4] = {0},
           peak_time[4] = {0}; /* by pass, then all: time in units of the peak */
    for (int i = 0; ok && i < DD_PRODUCTS; i++) {
        int pass = i / LAYERS;
        dd_product *p = &out->product[i];
        dd_matmul m = product_of(i % LAYERS, pass, &o);
        *p = (dd_product){.layer = layers[i % LAYERS].name,
                          .pass = passes[pass],
                          .M = (uint32_t)m.M,
                          .N = (uint32_t)m.N,
                          .K = (uint32_t)m.K};
        measure_product(set, &m, scratch, out, p);
        double n = (double)m.M * (double)m.N * (double)m.K;
        operations[pass] += n;
        operations[3] += n;
        peak_time[pass] += n / p->share;
        peak_time[3] += n / p->share;
    }
    for (int pass = 0; ok && pass < 3; pass++)
        out->share_of_pass[pass] = operations[pass] / peak_time[pass];
    if (ok)
        out->share = operations[3] / peak_time[3];
    for (size_t i = 0; i < ARRAYS; i++)
        dd_free(*each[i]);
    dd_free(scratch);
    return ok;
}

void dd_products_print(const dd_products *p, FILE *out)
{
    fprintf(
        out,
        "\nmatrix products of a micro step, %d rows, as shares of the peak measured beside each\n"
        "  %-9s %-16s %5s %5s %5s  %8s  %8s  %6s\n",
        ROWS, "layer", "pass", "M", "N", "K", "GFLOP/s", "its peak", "share");
    for (int i = 0; i < DD_PRODUCTS; i++) {
        const dd_product *x = &p->product[i];
        fprintf(out, "  %-9s %-16s %5u %5u %5u  %8.1f  %8.1f  %5.1f%%\n", x->layer, x->pass, x->M,
                x->N, x->K, x->gflops, x->peak_gflops, 100 * x->share);
    }
    fprintf(
        out,
        "  all: forward %.1f%%, input gradient %.1f%%, weight gradient %.1f%%, together %.1f%%\n",
        100 * p->share_of_pass[0], 100 * p->share_of_pass[1], 100 * p->share_of_pass[2],
        100 * p->share);
}

/* ---- Memory ---- */

double dd_measure_copy(void)
{
    const size_t bytes = (size_t)128
                         << 20; /* twice this, read and written, outgrows the caches of one core */
    char *from = dd_alloc(bytes), *to = dd_alloc(bytes);
    double best = 0;
    if (from && to) {
        memset(from, 1, bytes); /* pages of its own, not the shared zero page */
        memset(to, 2, bytes);
        for (int r = 0; r < 5; r++) {
            from[r] = (char)r; /* a copy that differs from the last */
            uint64_t begin = dd_now_ns();
            memcpy(to, from, bytes);
            double seconds = (double)(dd_now_ns() - begin) * 1e-9;
            double rate = to[r] == (char)r ? 2 * (double)bytes / seconds : 0;
            best = rate > best ? rate : best;
        }
    }
    dd_free(from);
    dd_free(to);
    return best;
}

/* ---- Clock and noise ---- */

/* One chain of multiply and add: its time is cycles alone. */
static uint64_t fixed_loop(uint64_t x)
{
    for (int i = 0; i < 500000; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

dd_noise dd_measure_noise(void)
{
    enum { LOOPS = 300 };
    dd_noise noise = {.resolution_ns = 1e9};
    double ns[LOOPS];
    uint64_t x = 1;
    for (int i = 0; i < 10000; i++) {
        uint64_t first = dd_now_ns(), second = first;
        while (second == first)
            second = dd_now_ns();
        if ((double)(second - first) < noise.resolution_ns)
            noise.resolution_ns = (double)(second - first);
    }
    for (int i = 0; i < LOOPS; i++) {
        uint64_t begin = dd_now_ns();
        x = fixed_loop(x);
        ns[i] = (double)(dd_now_ns() - begin) + (x == 0 ? 1 : 0); /* x is used: the loop stays */
    }
    noise.loop_ns = median(ns, LOOPS); /* sorts */
    noise.spread = (ns[LOOPS * 9 / 10] - ns[LOOPS / 10]) / noise.loop_ns;
    noise.worst = ns[LOOPS - 1] / noise.loop_ns;
    return noise;
}
