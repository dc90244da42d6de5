/* SPDX-License-Identifier: MIT
 * A trainer to copy: a small multi-layer perceptron that tells the arms of three spirals apart,
 * with OpenMP, behind the interface of dodeca_subject.h. It owns its data, which is drawn from the
 * seed, and refuses a file.
 *
 * Its weights are the same bits for every number of threads, because no sum depends on who computes
 * what: a batch is cut into chunks of 32 samples whatever the number of threads, each chunk has a
 * gradient of its own, and the chunks' gradients are added in ascending order.
 *
 * The option race=true takes that away: all chunks add to one gradient, as is too easily written.
 */
#include <dodeca_subject.h>

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 2, CLASSES = 3, CHUNK = 32, HIDDEN_MAX = 256 };

typedef struct mlp {
    uint32_t workers, batch, hidden, n_chunks;
    uint64_t seed, step;
    float rate;
    bool race;
    size_t n;         /* weights: hidden x (INPUTS + bias), then CLASSES x (hidden + bias) */
    float *weights;   /* (n) read-only while chunks run */
    float *gradients; /* (n_chunks, n), one a chunk; with the race all write the first */
    double *losses;   /* (n_chunks) */
    _Atomic uint64_t heartbeat; /* atomic, relaxed: chunks done, read by another thread */
} mlp;

/* ---- Data ---- */

/* Uniform in [0, 1), a function of its arguments alone.  source  splitmix64 */
static float uniform(uint64_t seed, uint64_t step, uint64_t index)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + step * 0xbf58476d1ce4e5b9u + index;
    for (int round = 0; round < 2; round++) {
        x += 0x9e3779b97f4a7c15u;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        x ^= x >> 31;
    }
    return (float)(x >> 40) * 0x1p-24f;
}

/* Sample i of the present step: a point on one of three spiral arms, and which. */
static uint32_t sample(const mlp *m, uint32_t i, float x[INPUTS])
{
    const float along = uniform(m->seed, m->step + 1, 2 * (uint64_t)i);
    const uint32_t arm = (uint32_t)(uniform(m->seed, m->step + 1, 2 * (uint64_t)i + 1) * CLASSES);
    const float angle = 4 * along + (float)arm * 2.0943951f;
    x[0] = along * cosf(angle);
    x[1] = along * sinf(angle);
    return arm;
}

/* ---- One step ---- */

/* Adds the gradient of one sample.  returns  its loss */
static float add_sample(const mlp *m, uint32_t i, float *gradient)
{
    const uint32_t H = m->hidden;
    const float *w1 = m->weights, *w2 = w1 + (size_t)H * (INPUTS + 1);
    float *g1 = gradient, *g2 = g1 + (size_t)H * (INPUTS + 1);
    float x[INPUTS], h[HIDDEN_MAX], p[CLASSES], sum = 0;
    const uint32_t label = sample(m, i, x);
    for (uint32_t j = 0; j < H; j++)
        h[j] = tanhf(w1[3 * j] * x[0] + w1[3 * j + 1] * x[1] + w1[3 * j + 2]);
    for (uint32_t c = 0; c < CLASSES; c++) {
        const float *row = w2 + c * (H + 1);
        p[c] = row[H];
        for (uint32_t j = 0; j < H; j++)
            p[c] += row[j] * h[j];
    }
    const float most = fmaxf(p[0], fmaxf(p[1], p[2]));
    for (uint32_t c = 0; c < CLASSES; c++)
        sum += p[c] = expf(p[c] - most);
    for (uint32_t c = 0; c < CLASSES; c++)
        p[c] /= sum;
    const float loss = -logf(p[label]);
    p[label] -= 1; /* now the gradient of the logits */
    for (uint32_t c = 0; c < CLASSES; c++) {
        for (uint32_t j = 0; j < H; j++)
            g2[c * (H + 1) + j] += p[c] * h[j];
        g2[c * (H + 1) + H] += p[c];
    }
    for (uint32_t j = 0; j < H; j++) {
        float d = 0;
        for (uint32_t c = 0; c < CLASSES; c++)
            d += p[c] * w2[c * (H + 1) + j];
        d *= 1 - h[j] * h[j];
        g1[3 * j] += d * x[0];
        g1[3 * j + 1] += d * x[1];
        g1[3 * j + 2] += d;
    }
    return loss;
}

static void run_chunk(mlp *m, uint32_t chunk)
{
    float *gradient = m->race ? m->gradients : m->gradients + chunk * m->n;
    const uint32_t end = (chunk + 1) * CHUNK < m->batch ? (chunk + 1) * CHUNK : m->batch;
    double loss = 0;
    for (uint32_t i = chunk * CHUNK; i < end; i++)
        loss += (double)add_sample(m, i, gradient);
    m->losses[chunk] = loss;
    atomic_fetch_add_explicit(&m->heartbeat, 1, memory_order_relaxed);
}

/* The sum over chunks, in ascending order, of one weight's gradient. */
static float fold(const mlp *m, size_t w)
{
    float sum = m->gradients[w];
    for (uint32_t chunk = 1; chunk < m->n_chunks; chunk++)
        sum += m->gradients[chunk * m->n + w];
    return sum / (float)m->batch;
}

static dd_subject_result mlp_step(void *self, dd_subject_step *out, char error[DD_SUBJECT_MESSAGE])
{
    (void)error;
    mlp *m = self;
    double loss = 0, squares = 0;
    memset(m->gradients, 0, m->n_chunks * m->n * sizeof *m->gradients);
#pragma omp parallel for num_threads(m->workers) schedule(static)
    for (uint32_t chunk = 0; chunk < m->n_chunks; chunk++)
        run_chunk(m, chunk);

    for (uint32_t chunk = 0; chunk < m->n_chunks; chunk++)
        loss += m->losses[chunk];
    for (size_t w = 0; w < m->n; w++) {
        const float gradient = fold(m, w);
        squares += (double)gradient * (double)gradient;
        m->weights[w] -= m->rate * gradient;
    }
    m->step++;
    out->loss = loss / m->batch;
    out->norm = sqrt(squares);
    return DD_SUBJECT_OK;
}

/* ---- Opening and closing ---- */

/* returns  NULL, or what would be right */
static const char *take_option(mlp *m, const char *key, const char *value)
{
    char *rest = NULL;
    if (strcmp(key, "hidden") == 0) {
        const unsigned long n = strtoul(value, &rest, 10);
        m->hidden = (uint32_t)n;
        return *value && !*rest && n >= 1 && n <= HIDDEN_MAX ? NULL : "a number from 1 to 256";
    }
    if (strcmp(key, "rate") == 0) {
        m->rate = strtof(value, &rest);
        return *value && !*rest && m->rate > 0 ? NULL : "a number above 0";
    }
    if (strcmp(key, "race") == 0) {
        m->race = strcmp(value, "true") == 0;
        return m->race || strcmp(value, "false") == 0 ? NULL : "true or false";
    }
    return "hidden, rate or race: there is no other option";
}

static void mlp_close(void *self)
{
    mlp *m = self;
    free(m->weights);
    free(m->gradients);
    free(m->losses);
    free(m);
    omp_pause_resource_all(omp_pause_hard); /* else its threads wait for the next region */
}

static dd_subject_result mlp_open(const dd_subject_settings *s, void **self,
                                  char error[DD_SUBJECT_MESSAGE])
{
    mlp *m = calloc(1, sizeof *m);
    if (!m)
        return DD_SUBJECT_LACKING;
    m->workers = s->workers;
    m->batch = s->batch;
    m->seed = s->seed;
    m->hidden = 32;
    m->rate = 0.5f;
    m->n_chunks = (s->batch + CHUNK - 1) / CHUNK;
    for (uint32_t i = 0; i < s->n_options; i++) {
        const char *right = take_option(m, s->options[i].key, s->options[i].value);
        if (!right)
            continue;
        snprintf(error, DD_SUBJECT_MESSAGE, "subject-options %.64s=%.64s: must be %s",
                 s->options[i].key, s->options[i].value, right);
        mlp_close(m);
        return DD_SUBJECT_FAILED;
    }
    if (s->data) {
        snprintf(error, DD_SUBJECT_MESSAGE, "data %.300s: the spirals are drawn from the seed",
                 s->data);
        mlp_close(m);
        return DD_SUBJECT_FAILED;
    }
    m->n = (size_t)m->hidden * (INPUTS + 1) + CLASSES * ((size_t)m->hidden + 1);
    m->weights = calloc(m->n, sizeof *m->weights);
    m->gradients = calloc(m->n_chunks * m->n, sizeof *m->gradients);
    m->losses = calloc(m->n_chunks, sizeof *m->losses);
    if (!m->weights || !m->gradients || !m->losses) {
        snprintf(error, DD_SUBJECT_MESSAGE, "no memory for %u chunks of the batch", m->n_chunks);
        mlp_close(m);
        return DD_SUBJECT_LACKING;
    }
    for (size_t w = 0; w < m->n; w++)
        m->weights[w] = 2 * uniform(m->seed, 0, w) - 1;
    *self = m;
    return DD_SUBJECT_OK;
}

/* ---- The table ---- */

static void mlp_weights(void *self, dd_subject_take *take, void *user)
{
    const mlp *m = self;
    const size_t first = (size_t)m->hidden * (INPUTS + 1);
    take(user, "hidden", DD_SUBJECT_F32, m->weights, first);
    take(user, "output", DD_SUBJECT_F32, m->weights + first, m->n - first);
}

static uint64_t mlp_heartbeat(const void *self)
{
    return atomic_load_explicit(&((const mlp *)self)->heartbeat, memory_order_relaxed);
}

const dd_subject_table *dd_subject_v1(void)
{
    static const dd_subject_table table = {
        .abi = DD_SUBJECT_ABI,
        .size = sizeof table,
        .name = "mlp, OpenMP",
        .open = mlp_open,
        .step = mlp_step,
        .weights = mlp_weights,
        .close = mlp_close,
        .heartbeat = mlp_heartbeat,
    };
    return &table;
}
