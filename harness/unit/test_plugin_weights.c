/* SPDX-License-Identifier: MIT
 * The pass over a plug-in's weights: their hash, what is not finite, and the distance from others,
 * in every type, against numbers worked out by hand. */
#include "hash.h"
#include "plugin_weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A trainer that hands over what it is told to. */
typedef struct piece {
    const char *name;
    dd_subject_type type;
    const void *data;
    uint64_t count;
} piece;

typedef struct fake {
    piece piece[3];
    size_t n;
} fake;

static void give(void *self, dd_subject_take *take, void *user)
{
    const fake *f = self;
    for (size_t i = 0; i < f->n; i++)
        take(user, f->piece[i].name, f->piece[i].type, f->piece[i].data, f->piece[i].count);
}

static const dd_subject_table table = {.weights = give};

static dd_own_weights pass(fake f, dd_weights_store *leave, const dd_weights_store *beside,
                           char hash[33])
{
    dd_own_weights own;
    dd_error error = {{0}};
    char any[33];
    if (dd_plugin_weights(&table, &f, leave, beside, &own, hash ? hash : any, &error) != DD_OK)
        fail_msg("%s", error.message);
    return own;
}

/* The first one's distance from the second. */
static dd_own_weights between(fake a, fake b)
{
    dd_weights_store *store = dd_weights_store_open();
    assert_non_null(store);
    const dd_own_weights alone = pass(b, store, NULL, NULL);
    assert_false(alone.compared);
    const dd_own_weights own = pass(a, NULL, store, NULL);
    assert_true(own.compared);
    dd_weights_store_close(store);
    return own;
}

static fake one(dd_subject_type type, const void *data, uint64_t count)
{
    return (fake){.piece = {{"w", type, data, count}}, .n = 1};
}

/* The hash is that of the bytes in one row, however they are cut. */
static void test_hash(void **state)
{
    (void)state;
    static const float w[6] = {1, 2, 3, 4, 5, 6};
    uint8_t bytes[16];
    char whole[33], cut[33], expected[33];
    pass(one(DD_SUBJECT_F32, w, 6), NULL, NULL, whole);
    pass((fake){{{"a", DD_SUBJECT_F32, w, 2}, {NULL, DD_SUBJECT_F32, w + 2, 4}}, 2}, NULL, NULL,
         cut);
    assert_string_equal(whole, cut);
    dd_hash128(w, sizeof w, bytes);
    for (int i = 0; i < 16; i++)
        snprintf(expected + 2 * (size_t)i, 3, "%02x", bytes[i]);
    assert_string_equal(whole, expected);
}

static void test_distance(void **state)
{
    (void)state;
    /* b's root mean square is sqrt(25 / 2): the small element is measured by it */
    const float b[2] = {5, 0}, near[2] = {5.5f, 0.25f};
    dd_own_weights own = between(one(DD_SUBJECT_F32, near, 2), one(DD_SUBJECT_F32, b, 2));
    assert_true(fabs(own.distance - 0.1) < 1e-12);
    assert_string_equal(own.farthest, "w[0]");
    const double c[2] = {5, 0}, away[2] = {5, -0.5};
    own = between(one(DD_SUBJECT_F64, away, 2), one(DD_SUBJECT_F64, c, 2));
    assert_true(fabs(own.distance - 0.5 / sqrt(12.5)) < 1e-12);
    assert_string_equal(own.farthest, "w[1]");
    own = between(one(DD_SUBJECT_F64, c, 2), one(DD_SUBJECT_F64, c, 2));
    assert_true(own.distance == 0 && own.farthest[0] == '\0');
    /* nothing to measure by */
    const double none[2] = {0, 0};
    own = between(one(DD_SUBJECT_F64, none, 2), one(DD_SUBJECT_F64, none, 2));
    assert_true(own.distance == 0);
    own = between(one(DD_SUBJECT_F64, c, 2), one(DD_SUBJECT_F64, none, 2));
    assert_true(isinf(own.distance));
    /* doubles whose squares are none */
    const double vast[2] = {1e200, 0}, next[2] = {1.5e200, 0};
    own = between(one(DD_SUBJECT_F64, next, 2), one(DD_SUBJECT_F64, vast, 2));
    assert_true(fabs(own.distance - 0.5) < 1e-12);
    own = between(one(DD_SUBJECT_BYTES, "abc", 3), one(DD_SUBJECT_BYTES, "abd", 3));
    assert_true(isinf(own.distance));
    assert_string_equal(own.farthest, "w[2]");
}

static void test_halves(void **state)
{
    (void)state;
    /* 1, -2, 2^-24 (the least there is), 65504 (the largest) */
    static const uint16_t f16[4] = {0x3c00, 0xc000, 0x0001, 0x7bff};
    static const double as_f64[4] = {1, -2, 0x1p-24, 65504};
    fake a = one(DD_SUBJECT_F16, f16, 4);
    dd_own_weights own = between(a, a);
    assert_true(own.n == 4 && own.n_not_finite == 0 && own.distance == 0);
    static const uint16_t others[4] = {0x3c00, 0xc000, 0x0001, 0x7bfe}; /* 65472 */
    own = between(one(DD_SUBJECT_F16, others, 4), a);
    assert_true(fabs(own.distance - 32 / as_f64[3]) < 1e-12);
    static const uint16_t special[3] = {0x7c00, 0xfc00, 0x7e00};
    assert_int_equal(pass(one(DD_SUBJECT_F16, special, 3), NULL, NULL, NULL).n_not_finite, 3);
    static const uint16_t bf16[2] = {0x3f80, 0xc040}, near[2] = {0x3f80, 0xc041}; /* 1, -3 */
    own = between(one(DD_SUBJECT_BF16, near, 2), one(DD_SUBJECT_BF16, bf16, 2));
    assert_true(fabs(own.distance - 0.015625 / 3) < 1e-12);
    static const uint16_t inf[1] = {0x7f80};
    assert_int_equal(pass(one(DD_SUBJECT_BF16, inf, 1), NULL, NULL, NULL).n_not_finite, 1);
}

/* A NaN is no distance that any tolerance would allow, and stays told whatever follows. */
static void test_not_finite(void **state)
{
    (void)state;
    const float b[3] = {1, 2, 3}, a[3] = {1, NAN, 300};
    dd_own_weights own = between(one(DD_SUBJECT_F32, a, 3), one(DD_SUBJECT_F32, b, 3));
    assert_true(isnan(own.distance) && own.n_not_finite == 1);
    assert_string_equal(own.farthest, "w[1]");
    assert_string_equal(own.not_finite, "w[1]");
    fake two = {{{"x", DD_SUBJECT_F32, a, 3}, {"y", DD_SUBJECT_F32, b, 3}}, 2};
    fake other = {{{"x", DD_SUBJECT_F32, b, 3}, {"y", DD_SUBJECT_F32, b, 3}}, 2};
    assert_true(isnan(between(two, other).distance));
    assert_true(isnan(between(other, two).distance));
}

static void test_unlike(void **state)
{
    (void)state;
    static const float w[4] = {1, 2, 3, 4};
    const fake two = {{{"a", DD_SUBJECT_F32, w, 2}, {"b", DD_SUBJECT_F32, w + 2, 2}}, 2};
    const struct {
        fake run;
        const char *says;
    } cases[] = {
        {{{{"a", DD_SUBJECT_F32, w, 2}}, 1}, "piece 1 of the weights is not there"},
        {{{{"a", DD_SUBJECT_F32, w, 2}, {"b", DD_SUBJECT_F32, w, 2}, {"c", DD_SUBJECT_F32, w, 1}},
          3},
         "piece 2 of the weights is c, 1 F32, the reference's not there"},
        {{{{"a", DD_SUBJECT_F32, w, 2}, {"c", DD_SUBJECT_F32, w + 2, 2}}, 2}, "is c, 2 F32"},
        {{{{"a", DD_SUBJECT_F16, w, 2}, {"b", DD_SUBJECT_F32, w + 2, 2}}, 2}, "is a, 2 F16"},
        {{{{"a", DD_SUBJECT_F32, w, 2}, {"b", DD_SUBJECT_F32, w + 2, 1}}, 2},
         "is b, 1 F32, the reference's b, 2 F32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const dd_own_weights own = between(cases[i].run, two);
        assert_true(isnan(own.distance));
        if (!strstr(own.unlike, cases[i].says))
            fail_msg("\"%s\" instead of \"%s\"", own.unlike, cases[i].says);
    }
    assert_string_equal(between(two, two).unlike, "");
}

/* A store is filled anew each time. */
static void test_store(void **state)
{
    (void)state;
    static const float w[4] = {1, 2, 3, 4};
    dd_weights_store *store = dd_weights_store_open();
    dd_own_weights own;
    dd_error error = {{0}};
    char hash[33];
    fake f = one(DD_SUBJECT_F32, w, 4);
    assert_non_null(store);
    /* one that nobody filled is nothing to compare with, and not equal to anything */
    assert_int_equal(dd_plugin_weights(&table, &f, NULL, store, &own, hash, &error), DD_ERR_MEMORY);
    pass(one(DD_SUBJECT_F32, w, 4), store, NULL, NULL);
    pass(one(DD_SUBJECT_F32, w, 2), store, NULL, NULL);
    assert_string_equal(pass(one(DD_SUBJECT_F32, w, 2), NULL, store, NULL).unlike, "");
    dd_weights_store_close(store);
    dd_weights_store_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),   cmocka_unit_test(test_distance),
        cmocka_unit_test(test_halves), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_unlike), cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
