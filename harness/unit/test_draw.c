/* SPDX-License-Identifier: MIT
 * Drawing a token: every draw is that of NUMERICS 11, redone here by sorting, and tokens come as
 * often as they should. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "draw.h"
#include "elementary.h"
#include "random.h"

/* Reproducible choices. */
static uint64_t next_index;

static uint32_t pick(uint32_t n)
{
    uint32_t f[4];
    dd_philox(12, next_index++, 100, f);
    return f[0] % n;
}

/* ---- Draws by the definition ---- */

typedef struct candidate {
    float logit;
    uint32_t token;
} candidate;

/* The largest first, of equal ones the lowest token. */
static int by_rank(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static int by_token(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->token < y->token ? -1 : 1;
}

static uint32_t by_hand(const float *logits, uint32_t n, const dd_drawing *how, uint64_t index,
                        candidate *c)
{
    for (uint32_t v = 0; v < n; v++)
        c[v] = (candidate){logits[v], v};
    qsort(c, n, sizeof *c, by_rank);
    if (how->temperature == 0)
        return c[0].token;
    const double M = (double)c[0].logit;
    const uint32_t k = how->top_k && how->top_k < n ? how->top_k : n;
    qsort(c, k, sizeof *c, by_token);
    double S = 0, reached = 0;
    for (int pass = 0; pass < 2; pass++) {
        uint32_t w[4];
        dd_philox(how->seed, index, 19, w);
        const double r = (double)(((uint64_t)w[0] * (UINT64_C(1) << 32) + w[1]) / 2048) * 0x1p-53;
        for (uint32_t i = 0; i < k; i++) {
            const double x = ((double)c[i].logit - M) / how->temperature;
            const float e = dd_exp((float)(x < -104 ? -104 : x));
            if (pass == 0)
                S += (double)e;
            else if ((reached += (double)e) > r * S)
                return c[i].token;
        }
    }
    fail_msg("no token");
    return n;
}

static void draws_are_those_of_the_definition(void **state)
{
    (void)state;
    enum { MOST = 300 };
    static const double temperatures[] = {0, 1e-300, 1e-3, 0.5, 1, 3, 1e30};
    float logits[MOST], weight[MOST];
    candidate c[MOST];
    for (int i = 0; i < 4000; i++) {
        const uint32_t n = 1 + pick(i % 4 ? 9 : MOST);
        const float spread = i % 3 ? 3.0f : 60.0f;
        for (uint32_t v = 0; v < n; v++) {
            logits[v] = dd_random_normal(7, 98, next_index++, spread);
            if (i % 5 == 0) /* many alike, both zeros among them */
                logits[v] = copysignf((float)pick(3), pick(2) ? 1.0f : -1.0f);
        }
        const dd_drawing how = {.temperature = temperatures[pick(7)],
                                .top_k = pick(2) ? pick(n + 3) : 0,
                                .seed = next_index};
        uint32_t bad = 0;
        const uint32_t got = dd_draw(logits, n, &how, (uint64_t)i, weight, &bad);
        const uint32_t want = by_hand(logits, n, &how, (uint64_t)i, c);
        if (got != want)
            fail_msg("%u tokens, temperature %g, top-k %u: %u, not %u", n, how.temperature,
                     how.top_k, got, want);
    }
}

/* Of 12 tokens; each draw with the next index of one seed. */
enum { TOKENS = 12, DRAWS = 20000 };
static const float skewed[TOKENS] = {0.3f, -1, 2, 2, 0, -0.5f, 1, -3, 0.1f, 2, 1.5f, -0.2f};

static void count(const dd_drawing *how, uint32_t *times)
{
    float weight[TOKENS];
    uint32_t bad;
    memset(times, 0, TOKENS * sizeof *times);
    for (uint64_t i = 0; i < DRAWS; i++)
        times[dd_draw(skewed, TOKENS, how, i, weight, &bad)]++;
}

/* Sum of squared deviations from what is expected; `in` says which tokens can come. */
static double chi_square(const uint32_t *times, double temperature, const bool *in)
{
    double total = 0, chi = 0;
    for (int v = 0; v < TOKENS; v++)
        total += in[v] ? exp((double)skewed[v] / temperature) : 0;
    for (int v = 0; v < TOKENS; v++) {
        const double expected = in[v] ? DRAWS * exp((double)skewed[v] / temperature) / total : 0;
        if (in[v])
            chi += (times[v] - expected) * (times[v] - expected) / expected;
        else
            assert_int_equal(times[v], 0);
    }
    return chi;
}

/* One in a thousand is beyond: 31.3 of 11 degrees of freedom, 18.5 of 4. The seeds are fixed. */
static void tokens_come_as_often_as_they_should(void **state)
{
    (void)state;
    uint32_t times[TOKENS], others[TOKENS];
    bool all[TOKENS], five[TOKENS] = {[2] = true, [3] = true, [9] = true, [10] = true, [6] = true};
    memset(all, true, sizeof all);
    dd_drawing how = {.temperature = 1, .seed = 1};
    count(&how, times);
    assert_true(chi_square(times, 1, all) < 31.3);
    assert_false(chi_square(times, 1.1, all) < 31.3); /* it can tell */
    how.temperature = 0.7;
    count(&how, times);
    assert_true(chi_square(times, 0.7, all) < 31.3);
    how.top_k = 5;
    how.seed = 2;
    count(&how, times);
    assert_true(chi_square(times, 0.7, five) < 18.5);
    how.seed = 3;
    count(&how, others);
    assert_memory_not_equal(times, others, sizeof times);
    how.top_k = 2; /* of three alike the first two */
    count(&how, times);
    assert_int_equal(times[2] + times[3], DRAWS);
    assert_true(times[2] > DRAWS * 0.48 && times[3] > DRAWS * 0.48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_the_definition),
        cmocka_unit_test(tokens_come_as_often_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
