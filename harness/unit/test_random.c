/* SPDX-License-Identifier: MIT
 * core/data: random numbers and the hash, against published vectors. */
#include "hash.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_philox_known_answers(void **state)
{
    (void)state;
    /* Random123, kat_vectors, philox4x32 10 */
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        dd_philox_block(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
    /* counter = (index, purpose, 0), key = seed, low halves first */
    uint32_t a[4], b[4];
    dd_philox(0x0123456789abcdef, 0xfedcba9876543210, 7, a);
    dd_philox_block((const uint32_t[4]){0x76543210, 0xfedcba98, 7, 0},
                    (const uint32_t[2]){0x89abcdef, 0x01234567}, b);
    assert_memory_equal(a, b, sizeof a);
}

static void test_normal_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    double sum = 0, squares = 0, fourth = 0;
    for (uint64_t e = 0; e < N; e++) {
        double z = (double)dd_random_normal(3, 4, e, 1.0f);
        assert_true(fabs(z) < 6);
        sum += z;
        squares += z * z;
        fourth += z * z * z * z;
    }
    /* five standard errors; Irwin-Hall of twelve has kurtosis 3 - 0.1 */
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 5 * sqrt(1.9 / N));
    assert_true(fabs(fourth / N - 2.9) < 5 * sqrt(80.0 / N));
    /* a function of everything, scaled with one rounding */
    float z = dd_random_normal(1, 2, 3, 1.0f);
    assert_true(z == dd_random_normal(1, 2, 3, 1.0f));
    assert_true(z != dd_random_normal(2, 2, 3, 1.0f) && z != dd_random_normal(1, 3, 3, 1.0f) &&
                z != dd_random_normal(1, 2, 4, 1.0f));
    assert_true(dd_random_normal(1, 2, 3, 0.02f) == z * 0.02f);
}

/* Many at once are those one by one, where indices grow past 32 bits and for every rest. */
static void test_normals(void **state)
{
    (void)state;
    static const uint64_t first[] = {0, 5, 0x7FFFFFFA, 0xFFFFFFFFFFF};
    float many[41];
    for (size_t f = 0; f < sizeof first / sizeof *first; f++)
        for (uint64_t n = 0; n <= 40; n++) {
            many[n] = -1;
            dd_random_normals(0xFEDCBA9876543210, 3, first[f], n, 0.02f, many);
            for (uint64_t e = 0; e < n; e++)
                assert_true(many[e] ==
                            dd_random_normal(0xFEDCBA9876543210, 3, first[f] + e, 0.02f));
            assert_true(many[n] == -1);
        }
}

static void test_hash_known_answer(void **state)
{
    (void)state;
    /* XXH3-128 of nothing, seed 0: xxHash specification */
    static const uint8_t empty[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                      0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    uint8_t hash[16];
    dd_hash128("", 0, hash);
    assert_memory_equal(hash, empty, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_normals),
        cmocka_unit_test(test_hash_known_answer),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
