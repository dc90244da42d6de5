/* SPDX-License-Identifier: MIT
 * GPT-2's forward pass for one sequence, one position at a time. Plain formulas; speed is no aim.
 */
#include "gpt2_by_hand.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* out = W in + b; W (n_out, n_in), b may be NULL */
static void affine(int n_out, int n_in, const double *W, const double *b, const double *in,
                   double *out)
{
    for (int o = 0; o < n_out; o++) {
        out[o] = b ? b[o] : 0;
        for (int i = 0; i < n_in; i++)
            out[o] += W[o * n_in + i] * in[i];
    }
}

static void normalise(int C, const double *gain, const double *bias, const double *in, double *out)
{
    double mean = 0, square = 0;
    for (int c = 0; c < C; c++)
        mean += in[c] / C;
    for (int c = 0; c < C; c++)
        square += (in[c] - mean) * (in[c] - mean) / C;
    for (int c = 0; c < C; c++)
        out[c] = (in[c] - mean) / sqrt(square + (double)1e-5f) * gain[c] + bias[c];
}

static double gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * pow(x, 3))));
}

/* The attention of position t over what was seen so far: qkv (T, 3C), out (C). */
static void attend(int C, int NH, int t, const double *qkv, double *out)
{
    int d = C / NH;
    for (int c = 0; c < C; c++) {
        const double *q = qkv + t * 3 * C + c / d * d; /* of the head that channel c belongs to */
        double numerator = 0, denominator = 0;
        for (int s = 0; s <= t; s++) {
            const double *k = qkv + s * 3 * C + C + c / d * d;
            double score = 0;
            for (int i = 0; i < d; i++)
                score += q[i] * k[i] / sqrt(d);
            numerator += exp(score) * qkv[s * 3 * C + 2 * C + c];
            denominator += exp(score);
        }
        out[c] = numerator / denominator;
    }
}

void gpt2_by_hand(const dd_shape *shape, const double *weights, const uint16_t *tokens, uint32_t T,
                  double *loss)
{
    int L = (int)shape->L, NH = (int)shape->NH, C = (int)shape->C, V = (int)shape->V;
    const double *wte = weights, *wpe = wte + V * C, *ln1w = wpe + (int)shape->T_max * C;
    const double *ln1b = ln1w + L * C, *qkvw = ln1b + L * C, *qkvb = qkvw + 3 * L * C * C;
    const double *projw = qkvb + 3 * L * C, *projb = projw + L * C * C, *ln2w = projb + L * C;
    const double *ln2b = ln2w + L * C, *fcw = ln2b + L * C, *fcb = fcw + 4 * L * C * C;
    const double *fc2w = fcb + 4 * L * C, *fc2b = fc2w + 4 * L * C * C, *lnfw = fc2b + L * C;
    const double *lnfb = lnfw + C;

    size_t most = (size_t)(V > 4 * C ? V : 4 * C);
    double *qkv = calloc((size_t)(L * (int)T * 3 * C), sizeof *qkv); /* (L, T, 3C) */
    double *x = calloc(most, sizeof *x), *y = calloc(most, sizeof *y), *z = calloc(most, sizeof *z);
    assert(qkv && x && y && z);
    for (int t = 0; t < (int)T; t++) {
        for (int c = 0; c < C; c++)
            x[c] = wte[tokens[t] * C + c] + wpe[t * C + c];
        for (int l = 0; l < L; l++) {
            double *of_layer = qkv + l * (int)T * 3 * C;
            normalise(C, ln1w + l * C, ln1b + l * C, x, y);
            affine(3 * C, C, qkvw + 3 * l * C * C, qkvb + 3 * l * C, y, of_layer + t * 3 * C);
            attend(C, NH, t, of_layer, y);
            affine(C, C, projw + l * C * C, projb + l * C, y, z);
            for (int c = 0; c < C; c++)
                x[c] += z[c];
            normalise(C, ln2w + l * C, ln2b + l * C, x, y);
            affine(4 * C, C, fcw + 4 * l * C * C, fcb + 4 * l * C, y, z);
            for (int c = 0; c < 4 * C; c++)
                z[c] = gelu(z[c]);
            affine(C, 4 * C, fc2w + 4 * l * C * C, fc2b + l * C, z, y);
            for (int c = 0; c < C; c++)
                x[c] += y[c];
        }
        normalise(C, lnfw, lnfb, x, y);
        affine(V, C, wte, NULL, y, z);
        double sum = 0;
        for (int v = 0; v < V; v++)
            sum += exp(z[v]);
        loss[t] = log(sum) - z[tokens[t + 1]];
    }
    free(qkv);
    free(x);
    free(y);
    free(z);
}
