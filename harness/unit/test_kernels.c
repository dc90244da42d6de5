/* SPDX-License-Identifier: MIT
 * Every kernel of every set that runs here, but for products (test_matmul.c), bit for bit against
 * plain loops written from NUMERICS.md, on seeded random shapes, strides, alignments and values.
 * Buffers lie against inaccessible pages, before or behind, so that one element read too far is a
 * crash; what a kernel must leave alone is compared too. DD_TEST_SEED repeats a run. Refuses
 * tolerances: bits are equal, or both are NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "elementary.h"
#include "guarded.h"
#include "kernel_cases.h"
#include "kernels_plain.h"
#include "peak.h"
#include "sets.h"

/* From narrow to wide. */
static const struct {
    dd_simd simd;
    const char *name;
} simd[] = {{DD_SIMD_NEON, "neon"}, {DD_SIMD_AVX2, "avx2"}, {DD_SIMD_AVX512, "avx512"}};
enum { N_SIMD = sizeof simd / sizeof *simd };

/* ---- Shapes and values ---- */

/* Scratch of exactly the promised size, full of NaN. */
static void *scratch_for(const dd_kernels *k, size_t n, size_t K, size_t T, size_t d)
{
    const size_t bytes = (k->scratch_bytes(n, K, T, d) + 63) / 64 * 64;
    return guarded_take_at_end(bytes / sizeof(float), __builtin_nanf(""));
}

/* One kernel's output against what it should be: `want` starts as a copy of `got`. */
typedef struct outcome {
    float *got, *want;
    size_t n;
} outcome;

static outcome output(size_t n, values kind)
{
    outcome o = {.got = guarded_values(n, kind), .n = n};
    o.want = guarded_copy(o.got, n);
    return o;
}

static void expect(const dd_kernels *k, const char *what, const outcome *o)
{
    expect_bits(k, what, o->n, o->got, o->want);
}

/* ---- Attention ---- */

/* Rows t < T of P hold s <= t; the rest must neither be read nor written. */
static void fill_beyond_diagonal(float *P, size_t T)
{
    for (size_t t = 0; t < T; t++)
        for (size_t s = t + 1; s < T; s++)
            P[t * T + s] = CANARY;
}

static void attention_case(const dd_kernels *k, size_t T, size_t d)
{
    const values kind = any_values();
    dd_attention a = {.T = T, .d = d};
    a.qkv_row = d + random_below(3) * (2 * d + 1);
    a.att_row = d + random_below(3) * 5;
    const size_t n_qkv = (T - 1) * a.qkv_row + d, n_att = (T - 1) * a.att_row + d;
    a.q = guarded_values(n_qkv, kind);
    a.k = guarded_values(n_qkv, kind);
    a.v = guarded_values(n_qkv, kind);
    outcome P = output(T * T, kind), att = output(n_att, kind);
    fill_beyond_diagonal(P.got, T);
    fill_beyond_diagonal(P.want, T);
    dd_attention want = a;
    want.P = P.want;
    want.att = att.want;
    plain_attention_forward(&want);
    a.P = P.got;
    a.att = att.got;
    a.next = random_below(2) ? &want : NULL;
    void *scratch = scratch_for(k, 1, 1, T, d);
    k->attention_forward(&a, scratch);
    char what[80];
    snprintf(what, sizeof what, "attention T %zu d %zu: P", T, d);
    expect(k, what, &P);
    snprintf(what, sizeof what, "attention T %zu d %zu: att", T, d);
    expect(k, what, &att);

    outcome gq = output(n_qkv, kind), gk = output(n_qkv, kind), gv = output(n_qkv, kind);
    a.gatt = want.gatt = guarded_values(n_att, kind);
    want.gq = gq.want;
    want.gk = gk.want;
    want.gv = gv.want;
    plain_attention_backward(&want);
    a.gq = gq.got;
    a.gk = gk.got;
    a.gv = gv.got;
    k->attention_backward(&a, scratch);
    snprintf(what, sizeof what, "attention backward T %zu d %zu", T, d);
    expect(k, what, &gq);
    expect(k, what, &gk);
    expect(k, what, &gv);
    expect(k, what, &P);
    guarded_release();
}

/* Rows first .. first + n of a text of T, keys and values in panels; scratch for room of T. */
static void attention_kept_case(const dd_kernels *k, size_t T, size_t d)
{
    const values kind = any_values();
    const size_t row = 3 * d + random_below(5), first = random_below(T),
                 n = 1 + random_below(T - first);
    const size_t room = T + random_below(40);
    dd_attention whole = {.T = T, .d = d, .qkv_row = row, .att_row = d + random_below(3) * 5};
    const float *qkv = guarded_values((T - 1) * row + 3 * d, kind);
    whole.q = qkv;
    whole.k = qkv + d;
    whole.v = qkv + 2 * d;
    const size_t n_att = (T - 1) * whole.att_row + d, at = first * whole.att_row;
    float *all = guarded_values(n_att, kind);
    outcome att = {.got = guarded_copy(all + at, (n - 1) * whole.att_row + d),
                   .n = (n - 1) * whole.att_row + d};
    whole.P = guarded_values(T * T, PLAIN);
    whole.att = all;
    plain_attention_forward(&whole);
    att.want = guarded_copy(att.got, att.n); /* what lies between rows stays */
    for (size_t r = 0; r < n; r++)
        memcpy(att.want + r * whole.att_row, all + at + r * whole.att_row, d * sizeof(float));
    float *keys = guarded_take_at_end((room + 15) / 16 * 16 * (d + 1), 0.0f);
    float *kept = guarded_take_at_end((d + 15) / 16 * 16 * (room + 1), 0.0f);
    for (size_t s = 0; s < first + n; s++)
        for (size_t i = 0; i < d; i++) {
            keys[s / 16 * 16 * (d + 1) + 16 * i + s % 16] = whole.k[s * row + i];
            kept[i / 16 * 16 * (room + 1) + 16 * s + i % 16] = whole.v[s * row + i];
        }
    const dd_attention_kept a = {.T = room,
                                 .d = d,
                                 .first = first,
                                 .n = n,
                                 .q = qkv + first * row,
                                 .q_row = row,
                                 .keys = keys,
                                 .values = kept,
                                 .att = att.got,
                                 .att_row = whole.att_row};
    k->attention_kept(&a, scratch_for(k, 1, 1, room, d));
    char what[80];
    snprintf(what, sizeof what, "attention, %zu kept and %zu new of %zu, d %zu", first, n, room, d);
    expect(k, what, &att);
    guarded_release();
}

static void kept_keys_and_values_serve_new_rows(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++) {
        for (int i = 0; i < 120; i++)
            attention_kept_case(sets[s], any_size(60), any_size(40));
        attention_kept_case(sets[s], 131, 64);
    }
}

static void attention_has_no_masked_terms(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++) {
        for (int i = 0; i < 120; i++)
            attention_case(sets[s], any_size(60), any_size(40));
        attention_case(sets[s], 128, 32);
        attention_case(sets[s], 131, 64);
    }
}

/* ---- Rows ---- */

static void layernorm_case(const dd_kernels *k, size_t R, size_t C)
{
    const values kind = any_values();
    const dd_sink sink = any_sink();
    const unsigned base = (unsigned)random_below(3); /* none, in place, elsewhere */
    char what[80];
    snprintf(what, sizeof what, "layernorm R %zu C %zu base %u sink %d", R, C, base, (int)sink);
    float *x = guarded_values(R * C, kind);
    const float *w = guarded_values(C, kind), *b = guarded_values(C, kind);
    const float *gy = guarded_values(R * C, kind);
    outcome y = output(R * C, kind), mean = output(R, kind), rstd = output(R, kind);
    plain_layernorm(R, C, x, w, b, y.want, mean.want, rstd.want);
    k->layernorm(R, C, x, w, b, y.got, mean.got, rstd.got);
    expect(k, what, &y);
    expect(k, what, &mean);
    expect(k, what, &rstd);
    outcome gx = output(R * C, kind), gw = output(C, kind), gb = output(C, kind);
    const float *other = guarded_values(R * C, kind);
    const float *to_want[] = {NULL, gx.want, other}, *to_got[] = {NULL, gx.got, other};
    plain_layernorm_backward(R, C, gy, x, w, mean.want, rstd.want, to_want[base], gx.want);
    k->layernorm_backward(R, C, gy, x, w, mean.want, rstd.want, to_got[base], gx.got);
    expect(k, what, &gx);
    plain_layernorm_grad(R, C, gy, x, mean.want, rstd.want, gw.want, gb.want, sink);
    k->layernorm_grad(R, C, gy, x, mean.want, rstd.want, gw.got, gb.got, sink);
    expect(k, what, &gw);
    expect(k, what, &gb);
    guarded_release();
}

static void layernorm_sums_in_sixteen(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++) {
        for (int i = 0; i < 300; i++)
            layernorm_case(sets[s], any_size(9), any_size(100));
        layernorm_case(sets[s], 37, 256);
    }
}

static void bias_grad_adds_rows(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++)
        for (int i = 0; i < 300; i++) {
            const values kind = any_values();
            const size_t R = any_size(30), N = any_size(120), row = N + random_below(3) * 5;
            const dd_sink sink = any_sink();
            const float *gy = guarded_values((R - 1) * row + N, kind);
            outcome gb = output(N, kind);
            plain_bias_grad(R, N, gy, row, gb.want, sink);
            sets[s]->bias_grad(R, N, gy, row, gb.got, sink);
            expect(sets[s], "bias_grad", &gb);
            guarded_release();
        }
}

static void cross_entropy_case(const dd_kernels *k, size_t R, size_t V)
{
    const values kind = any_values();
    uint32_t *target = guarded_words(R);
    for (size_t r = 0; r < R; r++)
        target[r] = (uint32_t)random_below(V);
    outcome logits = output(R * V, kind), loss = output(R, kind), alone = output(R, kind);
    k->cross_entropy_loss(R, V, logits.got, target, alone.got);
    expect(k, "cross_entropy_loss leaves the logits", &logits);
    const float inv = 1.0f / (float)(R * 12);
    plain_cross_entropy(R, V, logits.want, target, inv, loss.want);
    k->cross_entropy(R, V, logits.got, target, inv, loss.got);
    expect(k, "cross_entropy: gradient", &logits);
    expect(k, "cross_entropy: loss", &loss);
    memcpy(alone.want, loss.want, R * sizeof *loss.want);
    expect(k, "cross_entropy_loss", &alone);
    guarded_release();
}

static void cross_entropy_of_rows(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++) {
        for (int i = 0; i < 300; i++)
            cross_entropy_case(sets[s], any_size(9), any_size(300));
        cross_entropy_case(sets[s], 3, 5003);
    }
}

/* ---- Flat arrays ---- */

static void gelu_case(const dd_kernels *k, size_t n)
{
    const float *x = guarded_values(n, any_values()), *gy = guarded_values(n, any_values());
    outcome y = output(n, PLAIN), gx = output(n, PLAIN), same = output(n, any_values());
    for (size_t i = 0; i < n; i++) {
        y.want[i] = dd_gelu(x[i]);
        gx.want[i] = gy[i] * dd_dgelu(x[i]);
        same.want[i] = same.got[i] * dd_dgelu(x[i]);
    }
    k->gelu(n, x, y.got);
    expect(k, "gelu", &y);
    k->gelu_backward(n, gy, x, gx.got);
    expect(k, "gelu_backward", &gx);
    k->gelu_backward(n, same.got, x, same.got);
    expect(k, "gelu_backward in place", &same);
    guarded_release();
}

static void add_case(const dd_kernels *k, size_t n)
{
    const float *a = guarded_values(n, any_values()), *b = guarded_values(n, any_values());
    outcome y = output(n, PLAIN), left = output(n, any_values()), right = output(n, any_values());
    outcome folded = output(n, any_values());
    for (size_t i = 0; i < n; i++) {
        y.want[i] = a[i] + b[i];
        left.want[i] = left.want[i] + b[i];
        right.want[i] = a[i] + right.want[i];
        folded.want[i] = folded.want[i] + a[i];
    }
    k->add(n, a, b, y.got);
    expect(k, "add", &y);
    k->add(n, left.got, b, left.got);
    expect(k, "add to the left", &left);
    k->add(n, a, right.got, right.got);
    expect(k, "add to the right", &right);
    k->fold(n, folded.got, a);
    expect(k, "fold", &folded);
    guarded_release();
}

static void adamw_case(const dd_kernels *k, size_t n)
{
    const values kind = any_values();
    const dd_adamw opt = {.clip = random_below(2) ? 1.0f : random_float(),
                          .b1 = 0.9f,
                          .b2 = 0.95f,
                          .a1 = 0.1f,
                          .a2 = 0.05f,
                          .r1 = 1.0f + random_float(),
                          .r2 = 1.0f + random_float(),
                          .eps = 1e-8f,
                          .lr = 1e-3f,
                          .weight_decay = 0.1f,
                          .decayed = random_below(2)};
    outcome w = output(n, kind), m = output(n, kind), v = output(n, kind);
    const float *g = guarded_values(n, kind);
    plain_adamw(n, w.want, m.want, v.want, g, &opt);
    k->adamw(n, w.got, m.got, v.got, g, &opt);
    expect(k, "adamw: w", &w);
    expect(k, "adamw: m", &m);
    expect(k, "adamw: v", &v);
    guarded_release();
}

static void sum_squares_case(const dd_kernels *k, size_t n)
{
    const float *g = guarded_values(n, any_values());
    const double want = plain_sum_squares(n, g), got = k->sum_squares(n, g);
    if (!(got == want || (got != got && want != want)))
        fail_msg("%s: sum_squares of %zu is %a, should be %a (DD_TEST_SEED=%llu)", k->name, n, got,
                 want, test_seed);
    guarded_release();
}

static void flat_arrays(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++) {
        for (int i = 0; i < 200; i++) {
            gelu_case(sets[s], any_size(400));
            add_case(sets[s], any_size(400));
            adamw_case(sets[s], any_size(400));
            sum_squares_case(sets[s], any_size(400));
        }
        sum_squares_case(sets[s], DD_NORM_BLOCK);
        sum_squares_case(sets[s], DD_NORM_BLOCK - 1);
        sets[s]->gelu(0, NULL, NULL);
        sets[s]->fold(0, NULL, NULL);
        assert_true(sets[s]->sum_squares(0, NULL) == 0.0);
    }
}

/* ---- Selection ---- */

static void selection_gives_what_was_asked(void **state)
{
    (void)state;
    const char *why = NULL;
    const dd_kernels *off = dd_kernels_select(DD_SIMD_OFF, &why);
    assert_non_null(off);
    assert_memory_equal(off->name, "reference", strlen("reference"));
    const dd_kernels *widest = off;
    for (size_t i = 0; i < N_SIMD; i++) {
        why = NULL;
        const dd_kernels *set = dd_kernels_select(simd[i].simd, &why);
        if (set) {
            assert_string_equal(set->name, simd[i].name);
            widest = set;
        } else {
            assert_non_null(why);
        }
    }
    assert_ptr_equal(dd_kernels_select(DD_SIMD_AUTO, NULL), widest);
    assert_null(dd_kernels_select((dd_simd)77, &why));
    assert_non_null(why);
}

static void every_set_has_a_peak(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++)
        assert_true(dd_peak_flops(sets[s]) > 0 && dd_peak_at_work(sets[s]) > 0);
    const dd_kernels stranger = {.name = "stranger"};
    assert_true(dd_peak_flops(&stranger) == 0 && dd_peak_at_work(&stranger) == 0);
}

int main(void)
{
    kernel_cases_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_has_no_masked_terms),
        cmocka_unit_test(kept_keys_and_values_serve_new_rows),
        cmocka_unit_test(layernorm_sums_in_sixteen),
        cmocka_unit_test(bias_grad_adds_rows),
        cmocka_unit_test(cross_entropy_of_rows),
        cmocka_unit_test(flat_arrays),
        cmocka_unit_test(selection_gives_what_was_asked),
        cmocka_unit_test(every_set_has_a_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
