/* SPDX-License-Identifier: MIT
 * Kernel sets: the arithmetic of a training step, one table of functions per instruction set.
 * Every set writes the same bits; core/model/NUMERICS.md is the law they follow. Kernels know no
 * threads and no model: they get pointers, sizes and scratch memory, allocate nothing and assert
 * their preconditions. */
#ifndef DD_KERNELS_H
#define DD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dodeca.h"

#define DD_NORM_BLOCK 4096 /* elements per block of the norm, NUMERICS 8 */

/* What becomes of a finished chain. */
typedef enum dd_sink {
    DD_STORE,  /* C = chain */
    DD_FOLD,   /* C = C + chain: C holds the value of the lanes to the left */
    DD_RESUME, /* the chain goes on from what C holds */
} dd_sink;

/* Matrix product  C(i, j) = chain(k < K: A(i, k) * B(k, j); bias[j] or +0)
 * shapes   C is M x N, row stride c_row, columns contiguous;
 *          A(i, k) = a[i * a_row + k * a_col], B(k, j) = b[k * b_row + j * b_col];
 *          one of a_row, a_col and one of b_row, b_col is 1; bias (N) or NULL;
 *          with b NULL, B(k, 16 p + j) = panels[p * panel_pitch + 16 k + j] for j < 16, zeros in
 *          absent columns; 64-byte aligned, panel_pitch a multiple of 16
 * order    ascending k in one chain per element, DD_RESUME begins with what C holds (bias NULL)
 * alias    C overlaps neither A, B nor bias
 * threads  reentrant; scratch belongs to the caller                                       */
typedef struct dd_matmul {
    size_t M, N, K;
    const float *a;
    size_t a_row, a_col;
    const float *b;
    size_t b_row, b_col;
    const float *panels;
    size_t panel_pitch;
    const float *bias;
    float *c;
    size_t c_row;
    dd_sink sink;
} dd_matmul;

/* Rows of one lane, the next after those of the lane before, and how many folds follow it: the
 * chains of a lane are put on a stack, then `folds` times the two topmost values become their sum,
 * left + right. */
typedef struct dd_lane_rows {
    uint32_t n, folds;
} dd_lane_rows;

#define DD_FOLD_VALUES 10 /* most values on that stack: 3 * lane depth + 1 */

/* The weights' gradient of a whole batch  C(i, j) = the lanes' chain(r in lane: A(r, i) * B(r, j))
 * from +0, folded as the lanes say
 * shapes   C is M x N, row stride c_row, columns contiguous; R the sum of the lanes' rows;
 *          A(r, i) = a[r * a_row + i]; B(r, 16 p + j) = panels[p * panel_pitch + 16 r + j] for
 *          j < 16, zeros in absent columns, as pack_rows makes them; 64-byte aligned
 * order    rows of a lane ascending in one chain per element; folds as they come
 * requires n_lanes >= 1, every lane n >= 1, one value left at the end, DD_FOLD_VALUES at most
 * alias    none
 * threads  reentrant; scratch belongs to the caller                                        */
typedef struct dd_matmul_lanes {
    size_t M, N;
    const float *a;
    size_t a_row;
    const float *panels;
    size_t panel_pitch;
    const dd_lane_rows *lane;
    size_t n_lanes;
    float *c;
    size_t c_row;
} dd_matmul_lanes;

/* One attention head over one sequence (NUMERICS 4.2.3 and 5.4.6).
 * shapes   q, k, v, gatt, att, gq, gk, gv: (T, d), row strides given; P (T, T) row-major, row t
 *          holds s <= t, the rest is neither read nor written
 * next     the head that will be asked for after this one, whose memory is fetched meanwhile; NULL
 *          if there is none
 * alias    none                                                                            */
typedef struct dd_attention dd_attention;
struct dd_attention {
    size_t T, d;
    const float *q, *k, *v; /* row stride qkv_row */
    size_t qkv_row;
    float *P;
    float *att; /* forward: written; row stride att_row */
    size_t att_row;
    const float *gatt;   /* backward: read; row stride att_row */
    float *gq, *gk, *gv; /* backward: written; row stride qkv_row */
    const dd_attention *next;
};

/* One head for the newest rows of a text whose earlier keys and values are kept: row r of att is
 * that of position first + r, over all positions up to it (NUMERICS 4.2.3).
 * shapes   q, att: (n, d), row strides given; first + n <= T, the positions that there is room for.
 *          keys and values in panels of sixteen columns, the new rows' too: k[s][i] lies at
 *          keys[s / 16 * 16 (d + 1) + 16 i + s % 16], v[s][i] at
 *          values[i / 16 * 16 (T + 1) + 16 s + i % 16]; 64-byte aligned, and all of the last panel
 *          there is memory
 * alias    none                                                                            */
typedef struct dd_attention_kept {
    size_t T, d;
    size_t first, n;
    const float *q;
    size_t q_row;
    const float *keys, *values;
    float *att; /* written */
    size_t att_row;
} dd_attention_kept;

/* AdamW over n consecutive elements (NUMERICS 8). */
typedef struct dd_adamw {
    float clip;           /* factor c */
    float b1, b2, a1, a2; /* moments' decay and its complement */
    float r1, r2;         /* bias corrections */
    float eps, lr;
    float weight_decay; /* used only if decayed */
    bool decayed;
} dd_adamw;

/* One kernel set. Shapes are (R, C) row-major and contiguous unless said otherwise; all functions
 * are reentrant; outputs overlap inputs only where a line says so. */
typedef struct dd_kernels {
    const char *name; /* "reference", "reference+fma", "avx2" */

    /* bytes of scratch, 64-byte aligned, that matmul and attention need at most for these bounds */
    size_t (*scratch_bytes)(size_t max_n, size_t max_k, size_t max_T, size_t max_d);
    void (*matmul)(const dd_matmul *m, void *scratch);
    /* Elements [first, last) of the matrix W (N, K), row-major, to their places in panels of
     * sixteen: element (o, k) to forward[o / 16 * 16 K + 16 k + o % 16], the right operand of x W',
     * and to input[k / 16 * 16 N + 16 o + k % 16], that of gy W. Writes no other float, so that
     * disjoint ranges may be packed at once.
     * alias    none; forward and input 64-byte aligned                                       */
    void (*pack)(size_t N, size_t K, size_t first, size_t last, const float *W, float *forward,
                 float *input);
    void (*matmul_lanes)(const dd_matmul_lanes *m, void *scratch);
    /* Right operand of matmul_lanes: R x n of b, row stride b_row, to panels panel_pitch apart:
     * 64-byte aligned, panel_pitch >= 16 R and a multiple of 16; writes zeros in absent columns */
    void (*pack_rows)(size_t R, size_t n, const float *b, size_t b_row, float *panels,
                      size_t panel_pitch);
    void (*attention_forward)(const dd_attention *a, void *scratch);
    void (*attention_backward)(const dd_attention *a, void *scratch);
    void (*attention_kept)(const dd_attention_kept *a, void *scratch);

    /* y = LN(x); mean, rstd (R) written */
    void (*layernorm)(size_t R, size_t C, const float *x, const float *w, const float *b, float *y,
                      float *mean, float *rstd);
    /* gx = base + LNB(gy; x), base NULL: gx = LNB(gy; x); gx == base or gx == x allowed */
    void (*layernorm_backward)(size_t R, size_t C, const float *gy, const float *x, const float *w,
                               const float *mean, const float *rstd, const float *base, float *gx);
    /* gw, gb (C): the chains over rows of NUMERICS 6 */
    void (*layernorm_grad)(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                           const float *rstd, float *gw, float *gb, dd_sink sink);
    /* gb (N) = addchain over rows of gy (R, N) with row stride gy_row */
    void (*bias_grad)(size_t R, size_t N, const float *gy, size_t gy_row, float *gb, dd_sink sink);

    void (*gelu)(size_t n, const float *x, float *y);
    /* gx = gy * dgelu(x); gx == gy or gx == x allowed */
    void (*gelu_backward)(size_t n, const float *gy, const float *x, float *gx);
    /* y = a + b; y == a or y == b allowed */
    void (*add)(size_t n, const float *a, const float *b, float *y);

    /* logits (R, V) become glogits in place; loss (R) written; target[r] < V */
    void (*cross_entropy)(size_t R, size_t V, float *logits, const uint32_t *target,
                          float inv_tokens, float *loss);
    /* the same losses, logits untouched */
    void (*cross_entropy_loss)(size_t R, size_t V, const float *logits, const uint32_t *target,
                               float *loss);

    /* dst = dst + src */
    void (*fold)(size_t n, float *dst, const float *src);
    /* sum of squares of n <= DD_NORM_BLOCK elements in double (NUMERICS 8) */
    double (*sum_squares)(size_t n, const float *g);
    void (*adamw)(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt);
} dd_kernels;

/* The kernel set for `simd` on this CPU.
 * returns  NULL when this build or this CPU has none; *why then says which
 * threads  any, any time                                                                   */
const dd_kernels *dd_kernels_select(dd_simd simd, const char **why);

#endif
