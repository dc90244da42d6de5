/* SPDX-License-Identifier: MIT
 * gate_work: the work that a performance gate compares between two revisions and that no command of
 * dodeca does by itself: kernels in fixed amounts, and barriers. One source, linked with each
 * revision's library. Nothing is calibrated: the same arguments do the same work on any machine.
 * Refuses to judge what it has done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "kernels.h"
#include "platform.h"
#include "points.h"

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "gate_work: %s: %s\n", what, why);
    exit(3);
}

static void *must_alloc(size_t bytes)
{
    void *p = dd_alloc(bytes);
    if (!p)
        give_up("memory", "none left");
    return p;
}

/* ---- Kernels ---- */

/* Rows of a lane, channels, heads, vocabulary: none a multiple of a vector, for tails count too. */
enum { T = 30, C = 72, NH = 2, V = 90, WIDE = 4 * C, R = 2 * T, ARRAYS = 8, FLOATS = 3 << 13 };

/* FLOATS each: 0 to 2 of either sign, 3 to 5 to write to, 6 and 7 above 0 as far as they are read;
 * none that is read exceeds 1 */
static float *array[ARRAYS];
static float *forward_panels, *input_panels, *row_panels;
static uint32_t target[R];
static void *scratch;

/* Multiples of the golden ratio modulo 1: even over the range, and cheap beside what is counted. */
static uint32_t weyl;

static void fill(float *to, size_t n, float scale, float offset)
{
    for (size_t i = 0; i < n; i++)
        to[i] = ((float)((weyl += 0x9e3779b9u) >> 9) + 0.5f) * 0x1p-23f * scale + offset;
}

static void operands_make(const dd_kernels *set)
{
    for (int a = 0; a < ARRAYS; a++)
        array[a] = must_alloc(FLOATS * sizeof(float));
    fill(array[0], R * WIDE, 2, -1);
    for (int a = 1; a < 3; a++)
        memcpy(array[a], array[0] + 64 * a, (R * WIDE - 64 * (size_t)a) * sizeof(float));
    for (int a = 6; a < ARRAYS; a++)
        fill(array[a], R * C, 1, 0);
    for (uint32_t r = 0; r < R; r++)
        target[r] = (weyl += 0x9e3779b9u) % V;
    scratch = must_alloc(set->scratch_bytes(WIDE, WIDE, T, C / NH));
    forward_panels = must_alloc(FLOATS * sizeof(float));
    input_panels = must_alloc(FLOATS * sizeof(float));
    row_panels = must_alloc(FLOATS * sizeof(float));
    set->pack(WIDE, C, 0, WIDE * C, array[1], forward_panels, input_panels);
    set->pack_rows(R, C, array[1], C, row_panels, 16 * R);
}

/* y (M, WIDE) = x (M, C) W' + b, and gx (M, C) = gy (M, WIDE) W */
static void do_matmul(const dd_kernels *set)
{
    const dd_matmul forward = {.M = T / 3 * 2,
                               .N = WIDE,
                               .K = C,
                               .a = array[0],
                               .a_row = C,
                               .a_col = 1,
                               .panels = forward_panels,
                               .panel_pitch = 16 * C,
                               .bias = array[2],
                               .c = array[3],
                               .c_row = WIDE,
                               .sink = DD_STORE};
    dd_matmul input = forward;
    input.N = C;
    input.K = WIDE;
    input.a_row = WIDE;
    input.panels = input_panels;
    input.panel_pitch = 16 * WIDE;
    input.bias = NULL;
    input.c_row = C;
    set->matmul(&forward, scratch);
    set->matmul(&input, scratch);
}

/* gW (C, C) = gy' x of one lane, folded to what is there */
static void do_matmul_lane(const dd_kernels *set)
{
    const dd_matmul m = {.M = C,
                         .N = C,
                         .K = R,
                         .a = array[0],
                         .a_row = 1,
                         .a_col = C,
                         .b = array[1],
                         .b_row = C,
                         .b_col = 1,
                         .c = array[3],
                         .c_row = C,
                         .sink = DD_FOLD};
    set->matmul(&m, scratch);
}

/* The same of two lanes at once */
static void do_matmul_lanes(const dd_kernels *set)
{
    static const dd_lane_rows lane[] = {{T, 0}, {T, 1}};
    const dd_matmul_lanes m = {.M = C,
                               .N = C,
                               .a = array[0],
                               .a_row = C,
                               .panels = row_panels,
                               .panel_pitch = 16 * R,
                               .lane = lane,
                               .n_lanes = 2,
                               .c = array[3],
                               .c_row = C};
    set->matmul_lanes(&m, scratch);
}

static void do_pack_rows(const dd_kernels *set)
{
    set->pack_rows(R, C, array[1], C, row_panels, 16 * R);
}

static dd_attention head(size_t h)
{
    const float *qkv = array[0] + h * (C / NH);
    return (dd_attention){.T = T,
                          .d = C / NH,
                          .q = qkv,
                          .k = qkv + C,
                          .v = qkv + 2 * C,
                          .qkv_row = 3 * C,
                          .P = array[6] + h * T * T,
                          .att_row = C};
}

static void do_attention_forward(const dd_kernels *set)
{
    for (size_t h = 0; h < NH; h++) {
        dd_attention a = head(h);
        a.att = array[3] + h * a.d;
        set->attention_forward(&a, scratch);
    }
}

static void do_attention_backward(const dd_kernels *set)
{
    for (size_t h = 0; h < NH; h++) {
        dd_attention a = head(h);
        a.gatt = array[1] + h * a.d;
        a.gq = array[4] + h * a.d;
        a.gk = a.gq + C;
        a.gv = a.gk + C;
        set->attention_backward(&a, scratch);
    }
}

static void do_layernorm(const dd_kernels *set)
{
    set->layernorm(R, C, array[0], array[1], array[2], array[3], array[4], array[5]);
}

static void do_layernorm_backward(const dd_kernels *set)
{
    set->layernorm_backward(R, C, array[0], array[1], array[2], array[6], array[7], NULL, array[3]);
}

static void do_layernorm_grad(const dd_kernels *set)
{
    set->layernorm_grad(R, C, array[0], array[1], array[6], array[7], array[3], array[4], DD_STORE);
}

static void do_bias_grad(const dd_kernels *set)
{
    set->bias_grad(R, WIDE, array[0], WIDE, array[3], DD_STORE);
}

static void do_gelu(const dd_kernels *set)
{
    set->gelu(R * C - 5, array[0], array[3]);
}

static void do_gelu_backward(const dd_kernels *set)
{
    set->gelu_backward(R * C - 5, array[0], array[1], array[3]);
}

static void do_add(const dd_kernels *set)
{
    set->add(R * C - 5, array[0], array[1], array[3]);
}

static void do_cross_entropy(const dd_kernels *set)
{
    memcpy(array[3], array[0], R * V * sizeof(float));
    set->cross_entropy(R, V, array[3], target, 0x1p-6f, array[4]);
}

static void do_cross_entropy_loss(const dd_kernels *set)
{
    set->cross_entropy_loss(R, V, array[0], target, array[4]);
}

static void do_fold(const dd_kernels *set)
{
    set->fold(R * C - 5, array[3], array[0]);
}

static void do_sum_squares(const dd_kernels *set)
{
    const double sum = set->sum_squares(DD_NORM_BLOCK - 5, array[0]);
    memcpy(array[3], &sum, sizeof sum);
}

static void do_adamw(const dd_kernels *set)
{
    static const dd_adamw update = {.clip = 0.5f,
                                    .b1 = 0.9f,
                                    .b2 = 0.95f,
                                    .a1 = 0.1f,
                                    .a2 = 0.05f,
                                    .r1 = 1.25f,
                                    .r2 = 1.5f,
                                    .eps = 1e-8f,
                                    .lr = 1e-4f,
                                    .weight_decay = 0.1f,
                                    .decayed = true};
    set->adamw(R * C - 5, array[3], array[4], array[7], array[0], &update);
}

/* W (R, C) to both panels */
static void do_pack(const dd_kernels *set)
{
    set->pack(R, C, 0, R * C, array[0], array[3], array[4]);
}

/* How often each kernel is called: such that it makes an even share of its group's instructions, so
 * that little more work in any of them shows in the sum. */
typedef struct work {
    const char *group;
    void (*run)(const dd_kernels *set);
    unsigned simd, scalar;
} work;

static const work all_work[] = {
    {"products", do_matmul, 5, 1},
    {"products", do_matmul_lane, 9, 2},
    {"products", do_matmul_lanes, 10, 2},
    {"products", do_pack_rows, 290, 120},
    {"attention", do_attention_forward, 20, 5},
    {"attention", do_attention_backward, 13, 4},
    {"layernorm", do_layernorm, 76, 13},
    {"layernorm", do_layernorm_backward, 54, 13},
    {"layernorm", do_layernorm_grad, 216, 40},
    {"layernorm", do_bias_grad, 233, 16},
    {"activation", do_gelu, 32, 10},
    {"activation", do_gelu_backward, 26, 8},
    {"activation", do_add, 218, 78},
    {"loss", do_cross_entropy, 15, 5},
    {"loss", do_cross_entropy_loss, 26, 7},
    {"parameters", do_fold, 218, 78},
    {"parameters", do_sum_squares, 340, 41},
    {"parameters", do_adamw, 60, 17},
    {"parameters", do_pack, 96, 18},
};

static bool kernels_run(dd_simd simd, const char *group)
{
    const char *why = "";
    const dd_kernels *set = dd_kernels_select(simd, &why);
    if (!set)
        give_up("kernels", why);
    operands_make(set);
    bool any = false;
    for (size_t i = 0; i < sizeof all_work / sizeof *all_work; i++) {
        const work *w = &all_work[i];
        if (strcmp(w->group, group) != 0)
            continue;
        any = true;
        const unsigned calls = simd == DD_SIMD_OFF ? w->scalar : w->simd;
        for (unsigned n = 0; n < calls; n++)
            w->run(set);
    }
    return any;
}

/* ---- Barriers ---- */

enum { CHUNKS = 24, STACK_BYTES = 64 << 10, THREADS_MAX = 144 };

/* What a step does between B and V, as its threads do it; the kind pthread is the C library's
 * barrier itself. */
typedef struct meeting {
    dd_hierarchy *hierarchy;
    dd_points *points; /* NULL: the C library's */
    dd_pbarrier *pbarrier;
    uint32_t n_threads, rounds, spins;
    double ns[CHUNKS]; /* per barrier; thread 0's */
} meeting;

static void meet(meeting *m, uint32_t thread)
{
    if (!m->points) {
        dd_pbarrier_wait(m->pbarrier);
        return;
    }
    const uint32_t sphere = m->hierarchy->worker[thread];
    (void)dd_points_arrive(m->points, sphere, true);
    dd_points_descend(m->points, sphere, m->spins);
}

typedef struct member {
    meeting *meeting;
    dd_thread thread;
    uint32_t number;
} member;

static void member_main(void *arg)
{
    const member *me = arg;
    meeting *m = me->meeting;
    for (uint32_t c = 0; c < CHUNKS; c++) {
        meet(m, me->number);
        const uint64_t begin_ns = dd_now_ns();
        for (uint32_t i = 0; i < m->rounds; i++)
            meet(m, me->number);
        if (me->number == 0)
            m->ns[c] = (double)(dd_now_ns() - begin_ns) / m->rounds;
    }
}

static void meeting_open(meeting *m, bool tree)
{
    if (!tree) {
        m->pbarrier = dd_pbarrier_open(m->n_threads);
        if (!m->pbarrier)
            give_up("barrier", "no pthread_barrier_t for so many threads");
        return;
    }
    m->spins = dd_points_spins(m->n_threads, dd_cpu_available());
    if (dd_hierarchy_open(m->n_threads > 12 ? 2 : 1, m->n_threads, &m->hierarchy) != DD_OK ||
        dd_points_open(DD_BARRIER_TREE, m->hierarchy, 0, &m->points) != DD_OK)
        give_up("barrier", "no memory");
}

static void barrier_run(bool tree, uint32_t n_threads, uint32_t rounds)
{
    meeting m = {.n_threads = n_threads, .rounds = rounds};
    meeting_open(&m, tree);
    member *all = must_alloc(n_threads * sizeof *all);
    for (uint32_t i = 0; i < n_threads; i++) {
        all[i].meeting = &m;
        all[i].number = i;
        /* give_up takes those who would wait for ever with it */
        const int error =
            dd_thread_create(&all[i].thread, "barrier", STACK_BYTES, member_main, &all[i]);
        if (error)
            give_up("thread", strerror(error));
    }
    for (uint32_t i = 0; i < n_threads; i++)
        dd_thread_join(&all[i].thread);
    for (uint32_t c = 0; c < CHUNKS; c++)
        printf("{\"wall_ns\":%.3f}\n", m.ns[c]);
    dd_free(all);
    dd_points_close(m.points);
    dd_hierarchy_close(m.hierarchy);
    dd_pbarrier_close(m.pbarrier);
}

/* ---- Command line ---- */

static const char usage[] =
    "usage: gate_work kernels off|avx2|avx512|neon GROUP\n"
    "       gate_work barrier tree|pthread THREADS ROUNDS\n"
    "\n"
    "Does a fixed amount of work, for build/perf_gate_tool, which counts its instructions or "
    "takes\n"
    "its times. GROUP: products, attention, layernorm, activation, loss or parameters. barrier "
    "prints\n"
    "nanoseconds per barrier, of 24 chunks of ROUNDS (1 to 1000000) of 1 to 144 threads.\n"
    "\n"
    "exit: 0 done, 2 bad usage, 3 this machine cannot do it\n";

static bool number(const char *text, uint32_t most, uint32_t *out)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    *out = (uint32_t)n;
    return *text >= '0' && *text <= '9' && !*end && n >= 1 && n <= most;
}

static bool simd_named(const char *name, dd_simd *out)
{
    static const struct {
        const char *name;
        dd_simd simd;
    } names[] = {{"off", DD_SIMD_OFF},
                 {"avx2", DD_SIMD_AVX2},
                 {"avx512", DD_SIMD_AVX512},
                 {"neon", DD_SIMD_NEON}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].simd;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    dd_simd simd;
    uint32_t threads, rounds;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "kernels") == 0 && simd_named(argv[2], &simd) &&
        kernels_run(simd, argv[3]))
        return 0;
    if (argc == 5 && strcmp(argv[1], "barrier") == 0 && number(argv[3], THREADS_MAX, &threads) &&
        number(argv[4], 1000000, &rounds) &&
        (strcmp(argv[2], "tree") == 0 || strcmp(argv[2], "pthread") == 0)) {
        barrier_run(argv[2][0] == 't', threads, rounds);
        return 0;
    }
    fputs("gate_work: these arguments mean nothing\n", stderr);
    fputs(usage, stderr);
    return 2;
}
