/* SPDX-License-Identifier: MIT
 * Guarded memory: see guarded.h. */
#define _DEFAULT_SOURCE
#include "guarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "elementary.h"

enum { MOST = 32, WATCHED = 0xa5 };

typedef struct region {
    unsigned char *map; /* a page without access, `bytes` with, another without */
    size_t bytes;
    unsigned char *from, *to; /* the part handed out */
} region;

static region regions[MOST];
static size_t n_regions;
unsigned long long test_seed;
static uint64_t state;

void test_seed_from_environment(void)
{
    const char *given = getenv("DD_TEST_SEED");
    test_seed = given ? strtoull(given, NULL, 0) : (unsigned long long)time(NULL);
    state = test_seed;
    print_message("DD_TEST_SEED=%llu\n", test_seed);
}

/* splitmix64 */
static uint64_t random_word(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t random_below(size_t n)
{
    return (size_t)(random_word() % n);
}

float random_float(void)
{
    return ((float)(random_word() >> 41) + 0.5f) * 0x1p-23f;
}

values any_values(void)
{
    static const values often[] = {PLAIN, PLAIN, WIDE, SPECIAL};
    return often[random_below(4)];
}

static float draw(values kind)
{
    static const float special[] = {0.0f,     -0.0f,     0x1p-149f, -0x1.8p-130f, 0x1.fffffep+127f,
                                    0x1p+90f, -0x1p+90f, 0x1p-90f};
    if (kind == WIDE)
        return dd_float_of_bits((uint32_t)(random_word() & 0xbfffffff)); /* |x| < 2 */
    if (kind == SPECIAL && random_below(60) == 0) {
        const size_t i = random_below(12);
        if (i < 8)
            return special[i];
        if (random_below(4) == 0)
            return i < 10 ? __builtin_nanf("") : i < 11 ? __builtin_inff() : -__builtin_inff();
    }
    return ((random_float() + random_float()) + (random_float() + random_float()) - 2.0f) * 1.7f;
}

static unsigned char *take(size_t bytes, bool at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_true(n_regions < MOST);
    region *r = &regions[n_regions];
    r->bytes = (bytes + page - 1) / page * page;
    r->map = mmap(NULL, r->bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(r->map, MAP_FAILED);
    unsigned char *begin = r->map + page;
    assert_int_equal(mprotect(begin, r->bytes, PROT_READ | PROT_WRITE), 0);
    memset(begin, WATCHED, r->bytes);
    r->from = at_end ? begin + r->bytes - bytes : begin;
    r->to = r->from + bytes;
    n_regions++;
    return r->from;
}

float *guarded_values(size_t n, values kind)
{
    float *p = (float *)(void *)take(n * sizeof *p, random_below(2));
    for (size_t i = 0; i < n; i++)
        p[i] = draw(kind);
    return p;
}

float *guarded_copy(const float *from, size_t n)
{
    float *p = (float *)(void *)take(n * sizeof *p, true);
    memcpy(p, from, n * sizeof *p);
    return p;
}

uint32_t *guarded_words(size_t n)
{
    return (uint32_t *)(void *)take(n * sizeof(uint32_t), random_below(2));
}

float *guarded_take_at_end(size_t n, float fill)
{
    float *p = (float *)(void *)take(n * sizeof *p, true);
    for (size_t i = 0; i < n; i++)
        p[i] = fill;
    return p;
}

void guarded_release(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (; n_regions > 0; n_regions--) {
        region *r = &regions[n_regions - 1];
        for (unsigned char *p = r->map + page; p < r->map + page + r->bytes; p++)
            if ((p < r->from || p >= r->to) && *p != WATCHED)
                fail_msg("a kernel wrote %td bytes from the %s of a buffer of %td bytes "
                         "(DD_TEST_SEED=%llu)",
                         p < r->from ? r->from - p : p - r->to, p < r->from ? "start" : "end",
                         r->to - r->from, test_seed);
        munmap(r->map, r->bytes + 2 * page);
    }
}

bool same_bits(float a, float b)
{
    return dd_float_bits(a) == dd_float_bits(b) || (a != a && b != b);
}
