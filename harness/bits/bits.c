/* SPDX-License-Identifier: MIT
 * The driver of scripts/same_bits.sh: trains one model on built-in data for a few steps, by the
 * oracle and by every kernel set that this build and this CPU have, in one process and with nothing
 * but the library, so that it builds and runs wherever the library does. Prints hashes; whether
 * they are the right ones is the script's to say.
 *
 *   settings TEXT            what decides the bits, as arguments of "dodeca train --data builtin"
 *   data HASH
 *   run SET HASH VARIANT     a training; SET "oracle" and "oracle+fma" are the oracle's builds
 *   skip SET REASON          a set of this architecture that cannot run here
 */
#include <fenv.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dodeca.h"
#include "kernels.h"
#include "oracle.h"
#include "platform.h"
#include "sets.h"

enum { STEPS = 20, WARMUP = 5 };

/* How fast a set is: its fused multiply-adds may be calls, are instructions, or are vectors. */
enum { CALLS, SCALARS, VECTORS };

/* Odd sizes on purpose: no multiple of a vector, lanes of unequal length. */
typedef struct model {
    const char *name;
    dd_shape shape; /* all zero: the shape of that name */
    uint32_t seq, batch;
    uint64_t seed;
    int least; /* trained by sets at least this fast */
} model;

static const model models[] = {
    {"tiny", {.L = 1, .NH = 5, .C = 25, .V = 67, .T_max = 13}, 0, 17, 3, CALLS},
    {"nano", {0}, 15, 13, 1, SCALARS},
    {"micro", {0}, 32, 13, 1, VECTORS},
};

typedef struct variant {
    uint32_t workers, depth;
    bool steal;
    dd_barrier barrier;
    dd_reduce reduce;
    uint32_t micro_batch;
} variant;

static const char *const barrier_names[] = {"tree", "pthread"};
static const char *const reduce_names[] = {"tree", "control", "sliced", "owner"};
enum { BARRIERS = 2, REDUCES = 4 };

static const variant few[] = {
    {1, 1, false, DD_BARRIER_TREE, DD_REDUCE_TREE, 0},
    {1, 1, false, DD_BARRIER_TREE, DD_REDUCE_TREE, 1},
    {2, 1, false, DD_BARRIER_TREE, DD_REDUCE_OWNER, 0},
    {3, 1, true, DD_BARRIER_PTHREAD, DD_REDUCE_SLICED, 1},
};

/* With --all, each of these with every barrier and reduction. */
static const variant shapes[] = {
    {.workers = 1, .depth = 1},
    {.workers = 2, .depth = 1, .steal = true},
    {.workers = 3, .depth = 2},
    {.workers = 5, .depth = 1},
    {.workers = 8, .depth = 3, .steal = true},
    {.workers = 12, .depth = 2},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The sets of this architecture. A forced one is handed out whatever the trainer asks for. */
static const struct {
    const char *name; /* NULL: any */
    dd_simd simd;
    const dd_kernels *forced;
    int speed;
} sets[] = {
#if defined(__x86_64__)
    {"reference", DD_SIMD_OFF, &dd_reference_portable_, CALLS},
    {"reference+fma", DD_SIMD_OFF, NULL, SCALARS},
    {"avx2", DD_SIMD_AVX2, NULL, VECTORS},
    {"avx512", DD_SIMD_AVX512, NULL, VECTORS},
#else
    {NULL, DD_SIMD_OFF, NULL, SCALARS}, /* as the build names it */
#endif
#if defined(__aarch64__)
    {"neon", DD_SIMD_NEON, NULL, VECTORS},
#endif
};

static const dd_kernels *forced_set;

const dd_kernels *__real_dd_kernels_select(dd_simd simd, const char **why);
const dd_kernels *__wrap_dd_kernels_select(dd_simd simd, const char **why);

const dd_kernels *__wrap_dd_kernels_select(dd_simd simd, const char **why)
{
    return forced_set ? forced_set : __real_dd_kernels_select(simd, why);
}

_Noreturn static void give_up(const char *what, const dd_error *error)
{
    fprintf(stderr, "dodeca_bits: %s: %s\n", what, error ? error->message : "failed");
    exit(1);
}

static void print_hash(const uint8_t hash[16])
{
    for (int i = 0; i < 16; i++)
        printf("%02x", hash[i]);
}

static dd_config configure(const model *m)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = m->shape;
    if (c.shape.L == 0 && !dd_shape_named(m->name, &c.shape))
        give_up(m->name, NULL);
    c.batch = m->batch;
    c.seq = m->seq;
    c.seed = m->seed;
    c.horizon = STEPS;
    c.warmup = WARMUP;
    return c;
}

static void print_settings(const model *m)
{
    printf("settings --model ");
    if (m->shape.L)
        printf("L=%" PRIu32 ",NH=%" PRIu32 ",C=%" PRIu32 ",V=%" PRIu32 ",T=%" PRIu32, m->shape.L,
               m->shape.NH, m->shape.C, m->shape.V, m->shape.T_max);
    else
        printf("%s", m->name);
    if (m->seq)
        printf(" --seq %" PRIu32, m->seq);
    printf(" --batch %" PRIu32 " --steps %d --warmup %d --seed %" PRIu64 "\n", m->batch, STEPS,
           WARMUP, m->seed);
}

static void train_oracle(const char *name, const dd_oracle_build *build, const dd_config *c,
                         const dd_data *data)
{
    dd_serial *s;
    dd_step step;
    dd_error error;
    uint8_t hash[16];
    if (dd_serial_open_build(build, c, data, &s, &error))
        give_up(name, &error);
    for (int i = 0; i < STEPS; i++)
        if (dd_serial_step(s, &step, &error))
            give_up(name, &error);
    dd_serial_hash(s, hash);
    dd_serial_close(s);
    printf("run %s ", name);
    print_hash(hash);
    printf(" --serial\n");
    fflush(stdout);
}

static void train(const char *set, const variant *v, dd_config c, const dd_data *data)
{
    dd_trainer *t;
    dd_trainer_info info;
    dd_step step;
    dd_error error;
    uint8_t hash[16];
    c.workers = v->workers;
    c.depth = v->depth;
    c.steal = v->steal;
    c.barrier = v->barrier;
    c.reduce = v->reduce;
    c.micro_batch = v->micro_batch;
    if (dd_trainer_open(&c, data, &t, &error))
        give_up(set, &error);
    dd_trainer_info_get(t, &info);
    if (strcmp(info.kernels, set) != 0)
        give_up(set, &(dd_error){"another kernel set ran"});
    for (int i = 0; i < STEPS; i++)
        if (dd_trainer_step(t, &step, &error))
            give_up(set, &error);
    dd_trainer_hash(t, hash);
    dd_trainer_close(t);
    printf("run %s ", set);
    print_hash(hash);
    printf(" --workers %" PRIu32 " --depth %" PRIu32 "%s --barrier %s --reduce %s --micro-batch "
           "%" PRIu32 "\n",
           v->workers, v->depth, v->steal ? " --steal" : "", barrier_names[v->barrier],
           reduce_names[v->reduce], v->micro_batch);
    fflush(stdout);
}

/* slow: what takes long is run once, with several workers. */
static void train_variants(const char *set, bool slow, bool all, const dd_config *c,
                           const dd_data *data)
{
    if (slow || !all) {
        for (size_t i = slow ? COUNT(few) - 1 : 0; i < COUNT(few); i++)
            train(set, &few[i], *c, data);
        return;
    }
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (unsigned barrier = 0; barrier < BARRIERS; barrier++)
            for (unsigned reduce = 0; reduce < REDUCES; reduce++) {
                variant v = shapes[i];
                v.barrier = (dd_barrier)barrier;
                v.reduce = (dd_reduce)reduce;
                v.micro_batch = v.reduce != DD_REDUCE_OWNER && barrier;
                train(set, &v, *c, data);
            }
}

static void train_sets(const model *m, bool all, dd_config c, const dd_data *data)
{
    for (size_t i = 0; i < COUNT(sets); i++) {
        const char *why = NULL;
        if (sets[i].speed < m->least)
            continue;
        c.simd = sets[i].simd;
        forced_set = sets[i].forced;
        const dd_kernels *set = dd_kernels_select(c.simd, &why);
        const char *name = sets[i].name ? sets[i].name : set->name;
        if (set && strcmp(set->name, name) != 0)
            why = "this CPU lacks AVX or FMA";
        if (why)
            printf("skip %s %s\n", name, why);
        else
            train_variants(name, m->least == SCALARS && sets[i].speed == SCALARS,
                           all && sets[i].speed > CALLS, &c, data);
    }
}

static void train_oracles(const model *m, const dd_config *c, const dd_data *data)
{
#if defined(__x86_64__)
    const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (fma)
        train_oracle("oracle+fma", &dd_oracle_fma, c, data);
    else
        printf("skip oracle+fma this CPU lacks AVX2 or FMA\n");
    if (fma && m->least > CALLS)
        return;
#else
    (void)m;
#endif
    train_oracle("oracle", &dd_oracle_portable, c, data);
}

/* Another rounding must show in the register that every thread looks at, Point A by Point A. */
static void check_fp_env(void)
{
    static const int roundings[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < COUNT(roundings); i++) {
        if (dd_fp_env() != DD_FP_ENV_DEFAULT)
            give_up("dd_fp_env", &(dd_error){"the environment is not the default one"});
        if (fesetround(roundings[i]) != 0 || dd_fp_env() == DD_FP_ENV_DEFAULT)
            give_up("dd_fp_env", &(dd_error){"a changed rounding was not seen"});
        fesetround(FE_TONEAREST);
    }
}

int main(int argc, char **argv)
{
    const bool all = argc == 3 && strcmp(argv[1], "--all") == 0;
    const model *m = NULL;
    for (size_t i = 0; argc == (all ? 3 : 2) && i < COUNT(models); i++)
        if (strcmp(argv[argc - 1], models[i].name) == 0)
            m = &models[i];
    if (!m) {
        fprintf(stderr, "usage: dodeca_bits [--all] tiny|nano|micro\n");
        return 2;
    }
    check_fp_env();
    const dd_config c = configure(m);
    dd_data *data;
    dd_data_info info;
    dd_error error;
    if (dd_data_open("builtin", c.seed, &data, &error))
        give_up("builtin", &error);
    dd_data_info_get(data, &info);
    print_settings(m);
    printf("data ");
    print_hash(info.hash);
    printf("\n");
    train_oracles(m, &c, data);
    train_sets(m, all, c, data);
    dd_data_close(data);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
