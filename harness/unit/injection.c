/* SPDX-License-Identifier: MIT
 * Kernels that spoil one output. Each thread counts the calls of the pass it is in, and knows by
 * the first token of the sequences whether the lane in question is among them. */
#include "injection.h"

#include "gradient_owner.h"
#include "workspace.h"

#include <stdatomic.h>
#include <string.h>

/* ---- What is to be spoilt: changes between requests only ---- */

static injection now;
static atomic_uint hits, outer_calls;
static _Atomic(const dd_workspace *) ran_in;
static const dd_kernels *real; /* the set that was chosen last */

/* ---- Where this thread is ---- */

static _Thread_local struct {
    bool running, validating, has_lane;
    const dd_model *model;
    uint32_t n_sequences, n_lanes, lane; /* at work; the lane's number among these */
    size_t R, row;                       /* rows at work; the lane's first */
    size_t lane_rows;
    uint32_t forward, input, weight, packed, attention, attention_gradient, layernorm;
    uint32_t layernorm_gradient, norm_parameters, bias, gelu, gelu_gradient, add;
} at;

/* A slice's batch, or the lane whose gradient is searched: number, or all of them. */
static _Thread_local struct {
    const dd_batch_gradient *batch;
    bool one;
    uint32_t lane;
} slice;

static void pass_begin(const dd_model *m, const dd_workspace *ws, const dd_lane *work,
                       const uint32_t *sequences, uint32_t n_lanes, bool validating)
{
    memset(&at, 0, sizeof at);
    at.running = true;
    at.validating = validating;
    at.model = m;
    at.n_sequences = work->n_sequences;
    at.n_lanes = n_lanes;
    at.R = (size_t)work->n_sequences * m->T;
    uint32_t sequence = 0;
    for (uint32_t l = 0; l < n_lanes && now.kind != IN_NOTHING && !at.has_lane; l++) {
        if (work->first[sequence] == now.first_token) {
            at.has_lane = true;
            at.lane = l;
            at.row = (size_t)sequence * m->T;
            at.lane_rows = (size_t)sequences[l] * m->T;
            const dd_workspace *none = NULL;
            (void)atomic_compare_exchange_strong(&ran_in, &none, ws);
        }
        sequence += sequences[l];
    }
}

static bool spent(void)
{
    return now.once && atomic_load(&hits) > 0;
}

/* Whether this call, the op-th of its kind, holds the number. */
static bool is_here(injected kind, uint32_t op)
{
    return now.kind == kind && now.op == op && at.running && at.has_lane && !spent();
}

static void hit(float *number)
{
    *number = now.value;
    atomic_fetch_add(&hits, 1);
}

/* A call of any thread that is in no lane. */
static bool is_outer(injected kind)
{
    return now.kind == kind && !at.running && atomic_fetch_add(&outer_calls, 1) == now.op;
}

/* ---- Passes (linked with --wrap) ---- */

double __real_dd_gpt2_loss(const dd_model *m, dd_workspace *w, const dd_lane *lane, uint32_t first);
double __wrap_dd_gpt2_loss(const dd_model *m, dd_workspace *w, const dd_lane *lane, uint32_t first);
void __real_dd_gpt2_gradient(const dd_model *m, dd_workspace *w, const dd_lane *lane, dd_sink sink,
                             dd_segment *out);
void __wrap_dd_gpt2_gradient(const dd_model *m, dd_workspace *w, const dd_lane *lane, dd_sink sink,
                             dd_segment *out);
void __real_dd_gpt2_input_gradients(const dd_model *m, dd_workspace *w, const dd_lane *all,
                                    uint32_t first, const dd_layout *vectors,
                                    const uint32_t *sequences, uint32_t n_lanes, dd_segment *out);
void __wrap_dd_gpt2_input_gradients(const dd_model *m, dd_workspace *w, const dd_lane *all,
                                    uint32_t first, const dd_layout *vectors,
                                    const uint32_t *sequences, uint32_t n_lanes, dd_segment *out);

double __wrap_dd_gpt2_loss(const dd_model *m, dd_workspace *w, const dd_lane *lane, uint32_t first)
{
    pass_begin(m, w, lane, &lane->n_sequences, 1, true);
    const double loss = __real_dd_gpt2_loss(m, w, lane, first);
    at.running = false;
    return loss;
}

void __wrap_dd_gpt2_gradient(const dd_model *m, dd_workspace *w, const dd_lane *lane, dd_sink sink,
                             dd_segment *out)
{
    pass_begin(m, w, lane, &lane->n_sequences, 1, false);
    __real_dd_gpt2_gradient(m, w, lane, sink, out);
    at.running = false;
}

void __wrap_dd_gpt2_input_gradients(const dd_model *m, dd_workspace *w, const dd_lane *all,
                                    uint32_t first, const dd_layout *vectors,
                                    const uint32_t *sequences, uint32_t n_lanes, dd_segment *out)
{
    pass_begin(m, w, all, sequences, n_lanes, false);
    __real_dd_gpt2_input_gradients(m, w, all, first, vectors, sequences, n_lanes, out);
    at.running = false;
}

/* ---- Slices (linked with --wrap) ---- */

void __real_dd_owner_slice(const dd_batch_gradient *b, const dd_fold_pair *pair, uint32_t n,
                           uint32_t root, uint64_t first_block, uint64_t last_block,
                           dd_owner_scratch *o, float *gradient, double *block_sums);
void __wrap_dd_owner_slice(const dd_batch_gradient *b, const dd_fold_pair *pair, uint32_t n,
                           uint32_t root, uint64_t first_block, uint64_t last_block,
                           dd_owner_scratch *o, float *gradient, double *block_sums);
bool __real_dd_owner_find_nonfinite(const dd_batch_gradient *b, uint32_t i, dd_owner_scratch *o,
                                    uint64_t *element);
bool __wrap_dd_owner_find_nonfinite(const dd_batch_gradient *b, uint32_t i, dd_owner_scratch *o,
                                    uint64_t *element);

void __wrap_dd_owner_slice(const dd_batch_gradient *b, const dd_fold_pair *pair, uint32_t n,
                           uint32_t root, uint64_t first_block, uint64_t last_block,
                           dd_owner_scratch *o, float *gradient, double *block_sums)
{
    slice.batch = b;
    slice.one = false;
    __real_dd_owner_slice(b, pair, n, root, first_block, last_block, o, gradient, block_sums);
}

bool __wrap_dd_owner_find_nonfinite(const dd_batch_gradient *b, uint32_t i, dd_owner_scratch *o,
                                    uint64_t *element)
{
    slice.batch = b;
    slice.one = true;
    slice.lane = i;
    return __real_dd_owner_find_nonfinite(b, i, o, element);
}

/* The output gradient that a product of IN_WEIGHT_GRADIENT's op has on its left. */
static const float *left_operand(const dd_batch_gradient *b, dd_tensor k, uint32_t l)
{
    const dd_acts *acts = b->acts;
    switch (k) {
    case DD_WTE:
        return acts->logits;
    case DD_QKVW:
        return acts->layer[l].gqkv;
    case DD_ATTPROJW:
        return acts->layer[l].x2;
    case DD_FCW:
        return acts->layer[l].f;
    default:
        return l + 1 < b->model->layout.shape.L ? acts->layer[l + 1].x : acts->xf;
    }
}

static void matmul_lanes(const dd_matmul_lanes *m, void *scratch)
{
    real->matmul_lanes(m, scratch);
    if (now.kind != IN_WEIGHT_GRADIENT || spent() || (slice.one && slice.lane != now.lane))
        return;
    const dd_layout *layout = &slice.batch->model->layout;
    uint32_t l;
    const dd_tensor k = injected_matrix(layout, now.kind, now.op, &l);
    const float *left = left_operand(slice.batch, k, l);
    dd_matrix shape;
    (void)dd_layout_matrix(layout, k, &shape);
    size_t rows = 0;
    for (uint32_t i = 0; i < slice.batch->n_lanes; i++)
        rows += (size_t)slice.batch->sequences[i] * slice.batch->model->T;
    if (m->a < left || m->a >= left + rows * shape.N)
        return;
    const size_t first = (size_t)(m->a - left) % shape.N;
    if (now.row >= first && now.row < first + m->M)
        hit(&m->c[(now.row - first) * m->c_row + now.column]);
}

/* ---- Kernels in a lane ---- */

static void matmul(const dd_matmul *m, void *scratch)
{
    real->matmul(m, scratch);
    const uint32_t n = 4 * at.model->layout.shape.L + 1;
    if (!m->panels) {
        if (is_here(IN_WEIGHT_GRADIENT, at.weight++))
            hit(&m->c[now.row * m->c_row + now.column]);
    } else if (at.forward < n) {
        if (is_here(IN_FORWARD, at.forward++))
            hit(&m->c[(at.row + now.row) * m->c_row + now.column]);
    } else if (is_here(IN_INPUT_GRADIENT, at.input++)) {
        hit(&m->c[(at.row + now.row) * m->c_row + now.column]);
    }
}

static void pack_rows(size_t R, size_t n, const float *b, size_t b_row, float *panels, size_t pitch)
{
    real->pack_rows(R, n, b, b_row, panels, pitch);
    if (is_here(IN_PACKED_ROWS, at.packed++))
        hit(&panels[now.column / 16 * pitch + 16 * (at.row + now.row) + now.column % 16]);
}

/* Of the c-th head that is computed: whether it is of the injection's layer and sequence, and which
 * head it is. */
static bool is_head(injected kind, uint32_t c, uint32_t *head)
{
    const uint32_t NH = at.model->layout.shape.NH, each = NH * at.n_sequences;
    *head = c % NH;
    return is_here(kind, c / each) && c % each / NH == (at.row + now.row) / at.model->T;
}

static void attention_forward(const dd_attention *a, void *scratch)
{
    real->attention_forward(a, scratch);
    uint32_t h;
    const size_t t = now.row % a->T;
    if (is_head(IN_ATTENTION, at.attention, &h) && h == now.column / a->d)
        hit(&a->att[t * a->att_row + now.column % a->d]);
    if (is_head(IN_ATTENTION_WEIGHTS, at.attention, &h) && h == now.column / a->T &&
        now.column % a->T <= t)
        hit(&a->P[t * a->T + now.column % a->T]);
    at.attention++;
}

static void attention_backward(const dd_attention *a, void *scratch)
{
    real->attention_backward(a, scratch);
    const size_t C = at.model->layout.shape.C, t = now.row % a->T, c = now.column % C;
    float *const to[] = {a->gq, a->gk, a->gv};
    uint32_t h;
    if (is_head(IN_ATTENTION_GRADIENT, at.attention_gradient, &h) && h == c / a->d)
        hit(&to[now.column / C][t * a->qkv_row + c % a->d]);
    at.attention_gradient++;
}

static void layernorm(size_t R, size_t C, const float *x, const float *w, const float *b, float *y,
                      float *mean, float *rstd)
{
    real->layernorm(R, C, x, w, b, y, mean, rstd);
    const size_t row = at.row + now.row;
    if (is_here(IN_LAYERNORM, at.layernorm))
        hit(&y[row * C + now.column]);
    if (is_here(IN_MEAN, at.layernorm))
        hit(&mean[row]);
    if (is_here(IN_RSTD, at.layernorm))
        hit(&rstd[row]);
    at.layernorm++;
}

static void layernorm_backward(size_t R, size_t C, const float *gy, const float *x, const float *w,
                               const float *mean, const float *rstd, const float *base, float *gx)
{
    real->layernorm_backward(R, C, gy, x, w, mean, rstd, base, gx);
    if (is_here(IN_LAYERNORM_GRADIENT, at.layernorm_gradient++))
        hit(&gx[(at.row + now.row) * C + now.column]);
}

static void layernorm_grad(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                           const float *rstd, float *gw, float *gb, dd_sink sink)
{
    real->layernorm_grad(R, C, gy, x, mean, rstd, gw, gb, sink);
    const uint32_t c = at.norm_parameters++;
    if (is_here(IN_NORM_PARAMETERS, c / at.n_lanes) && c % at.n_lanes == at.lane)
        hit(now.row ? &gb[now.column] : &gw[now.column]);
}

static void bias_grad(size_t R, size_t N, const float *gy, size_t gy_row, float *gb, dd_sink sink)
{
    real->bias_grad(R, N, gy, gy_row, gb, sink);
    const uint32_t T = at.model->T, c = at.bias++;
    const uint32_t biases = 4 * at.model->layout.shape.L * at.n_lanes;
    if (c < biases) {
        if (is_here(IN_BIAS, c / at.n_lanes) && c % at.n_lanes == at.lane)
            hit(&gb[now.column]);
    } else if (is_here(IN_POSITION, 0) && (c - biases) / T == at.lane &&
               (c - biases) % T == now.row) {
        hit(&gb[now.column]);
    }
}

static void gelu(size_t n, const float *x, float *y)
{
    real->gelu(n, x, y);
    if (is_here(IN_GELU, at.gelu++))
        hit(&y[(at.row + now.row) * (n / at.R) + now.column]);
}

static void gelu_backward(size_t n, const float *gy, const float *x, float *gx)
{
    real->gelu_backward(n, gy, x, gx);
    if (is_here(IN_GELU_GRADIENT, at.gelu_gradient++))
        hit(&gx[(at.row + now.row) * (n / at.R) + now.column]);
}

static void cross_entropy(size_t R, size_t V, float *logits, const uint32_t *target,
                          float inv_tokens, float *loss)
{
    real->cross_entropy(R, V, logits, target, inv_tokens, loss);
    if (is_here(IN_LOGITS, 0))
        hit(&logits[(at.row + now.row) * V + now.column]);
    if (is_here(IN_LOSS, 0))
        hit(&loss[at.row + now.row]);
}

static void cross_entropy_loss(size_t R, size_t V, const float *logits, const uint32_t *target,
                               float *loss)
{
    real->cross_entropy_loss(R, V, logits, target, loss);
    if (is_here(IN_VALIDATION_LOSS, 0))
        hit(&loss[at.row + now.row]);
}

/* In a lane first a call for each row's embedding, then the residuals, then a call for each row of
 * the lookup part; folds of that come after them. */
static void add(size_t n, const float *a, const float *b, float *y)
{
    real->add(n, a, b, y);
    if (!at.running) {
        if (is_outer(IN_SUM))
            hit(&y[now.column % n]);
        return;
    }
    const size_t c = at.add++, residuals = 2 * at.model->layout.shape.L;
    const size_t row = at.row + now.row;
    if (c < at.R) {
        if (is_here(IN_EMBEDDING, 0) && c == row)
            hit(&y[now.column]);
    } else if (c < at.R + residuals) {
        if (is_here(IN_RESIDUAL, (uint32_t)(c - at.R)))
            hit(&y[row * (n / at.R) + now.column]);
    } else if (is_here(IN_LOOKUP, 0) && c - at.R - residuals == row) {
        hit(&y[now.column]);
    }
}

/* ---- Kernels in no lane ---- */

static void fold(size_t n, float *dst, const float *src)
{
    real->fold(n, dst, src);
    if (is_outer(IN_FOLD))
        hit(&dst[now.column % n]);
}

static double sum_squares(size_t n, const float *g)
{
    const double sum = real->sum_squares(n, g);
    if (!is_outer(IN_NORM))
        return sum;
    atomic_fetch_add(&hits, 1);
    return (double)now.value;
}

static void adamw(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt)
{
    real->adamw(n, w, m, v, g, opt);
    float *const to[] = {w, m, v};
    if (now.kind >= IN_WEIGHTS && now.kind <= IN_SQUARES && is_outer(now.kind))
        hit(&to[now.kind - IN_WEIGHTS][now.column % n]);
}

/* ---- The set (linked with --wrap) ---- */

const dd_kernels *__real_dd_kernels_select(dd_simd simd, const char **why);
const dd_kernels *__wrap_dd_kernels_select(dd_simd simd, const char **why);

const dd_kernels *__wrap_dd_kernels_select(dd_simd simd, const char **why)
{
    static dd_kernels set;
    real = __real_dd_kernels_select(simd, why);
    if (!real)
        return NULL;
    set = *real;
    set.matmul = matmul;
    set.matmul_lanes = matmul_lanes;
    set.pack_rows = pack_rows;
    set.attention_forward = attention_forward;
    set.attention_backward = attention_backward;
    set.layernorm = layernorm;
    set.layernorm_backward = layernorm_backward;
    set.layernorm_grad = layernorm_grad;
    set.bias_grad = bias_grad;
    set.gelu = gelu;
    set.gelu_backward = gelu_backward;
    set.add = add;
    set.cross_entropy = cross_entropy;
    set.cross_entropy_loss = cross_entropy_loss;
    set.fold = fold;
    set.sum_squares = sum_squares;
    set.adamw = adamw;
    return &set;
}

/* ---- Interface ---- */

const char *injected_name(injected kind)
{
    static const char *const name[IN_KINDS] = {
        [IN_EMBEDDING] = "embedding",
        [IN_LAYERNORM] = "layernorm",
        [IN_MEAN] = "its mean",
        [IN_RSTD] = "its rstd",
        [IN_FORWARD] = "forward product",
        [IN_INPUT_GRADIENT] = "input gradient",
        [IN_WEIGHT_GRADIENT] = "weight gradient",
        [IN_PACKED_ROWS] = "operand laid by",
        [IN_ATTENTION] = "attention",
        [IN_ATTENTION_WEIGHTS] = "its softmax",
        [IN_ATTENTION_GRADIENT] = "its gradient",
        [IN_RESIDUAL] = "residual",
        [IN_GELU] = "gelu",
        [IN_GELU_GRADIENT] = "gelu's gradient",
        [IN_LAYERNORM_GRADIENT] = "layernorm's gradient",
        [IN_NORM_PARAMETERS] = "gain and bias",
        [IN_BIAS] = "bias gradient",
        [IN_POSITION] = "position gradient",
        [IN_LOOKUP] = "lookup gradient",
        [IN_LOGITS] = "logits' gradient",
        [IN_LOSS] = "loss",
        [IN_VALIDATION_LOSS] = "validation loss",
        [IN_FOLD] = "fold",
        [IN_SUM] = "fold in pieces",
        [IN_NORM] = "norm",
        [IN_WEIGHTS] = "AdamW's weight",
        [IN_MEANS] = "AdamW's mean",
        [IN_SQUARES] = "AdamW's square",
    };
    return name[kind];
}

uint32_t injected_ops(const dd_layout *layout, injected kind)
{
    const uint32_t L = layout->shape.L;
    switch (kind) {
    case IN_LAYERNORM:
    case IN_MEAN:
    case IN_RSTD:
    case IN_LAYERNORM_GRADIENT:
    case IN_NORM_PARAMETERS:
        return 2 * L + 1;
    case IN_FORWARD:
    case IN_INPUT_GRADIENT:
    case IN_WEIGHT_GRADIENT:
    case IN_PACKED_ROWS:
        return 4 * L + 1;
    case IN_BIAS:
        return 4 * L;
    case IN_RESIDUAL:
        return 2 * L;
    case IN_ATTENTION:
    case IN_ATTENTION_WEIGHTS:
    case IN_ATTENTION_GRADIENT:
    case IN_GELU:
    case IN_GELU_GRADIENT:
        return L;
    default:
        return 1;
    }
}

dd_tensor injected_matrix(const dd_layout *layout, injected kind, uint32_t op, uint32_t *layer)
{
    static const dd_tensor forward[] = {DD_QKVW, DD_ATTPROJW, DD_FCW, DD_FCPROJW};
    const uint32_t L = layout->shape.L;
    const bool ahead = kind == IN_FORWARD || kind == IN_PACKED_ROWS;
    *layer = 0;
    if (op == (ahead ? 4 * L : 0))
        return DD_WTE;
    *layer = ahead ? op / 4 : L - 1 - (op - 1) / 4;
    return ahead ? forward[op % 4] : forward[3 - (op - 1) % 4];
}

void injected_shape(const dd_layout *layout, uint32_t T, injected kind, uint32_t op, uint32_t *rows,
                    uint32_t *columns)
{
    const dd_shape *s = &layout->shape;
    const uint32_t C = s->C;
    uint32_t layer;
    dd_matrix W = {0};
    if (kind == IN_FORWARD || kind == IN_INPUT_GRADIENT || kind == IN_WEIGHT_GRADIENT ||
        kind == IN_PACKED_ROWS)
        (void)dd_layout_matrix(layout, injected_matrix(layout, kind, op, &layer), &W);
    *rows = kind == IN_WEIGHT_GRADIENT   ? W.N
            : kind == IN_NORM_PARAMETERS ? 2
            : kind == IN_BIAS            ? 1
            : kind == IN_POSITION        ? T
                                         : 0;
    switch (kind) {
    case IN_FORWARD:
        *columns = W.N;
        break;
    case IN_INPUT_GRADIENT:
    case IN_WEIGHT_GRADIENT:
    case IN_PACKED_ROWS:
        *columns = W.K;
        break;
    case IN_ATTENTION_WEIGHTS:
        *columns = s->NH * T;
        break;
    case IN_ATTENTION_GRADIENT:
        *columns = 3 * C;
        break;
    case IN_GELU:
    case IN_GELU_GRADIENT:
        *columns = 4 * C;
        break;
    case IN_BIAS: /* the last layer's first: fcproj, fc, attproj, qkv */
        *columns = op % 4 == 1 ? 4 * C : op % 4 == 3 ? 3 * C : C;
        break;
    case IN_LOGITS:
        *columns = s->V;
        break;
    case IN_MEAN:
    case IN_RSTD:
    case IN_LOSS:
    case IN_VALIDATION_LOSS:
        *columns = 1;
        break;
    default:
        *columns = C;
    }
}

void injection_begin(const injection *what)
{
    now = *what;
    atomic_store(&hits, 0);
    atomic_store(&outer_calls, 0);
    atomic_store(&ran_in, NULL);
}

uint32_t injection_end(void)
{
    now.kind = IN_NOTHING;
    return atomic_load(&hits);
}

const dd_workspace *injection_workspace(void)
{
    return atomic_load(&ran_in);
}
