/* SPDX-License-Identifier: MIT
 * A limit of memory: what is counted before anything is allocated is what is allocated; the
 * reduction and the micro-batch chosen fit, and nothing better would; a limit that nothing fits is
 * refused with what is needed; and a process that trains under a limit keeps it. */
#include "trainer_fixture.h"
#include "trainer_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Activations are most of it: 96 sequences in lanes of eight. */
static dd_config long_lanes(void)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = (dd_shape){.L = 2, .NH = 2, .C = 48, .V = 128, .T_max = 128};
    c.batch = 96;
    c.workers = 2;
    return c;
}

static double counted(const dd_trainer *t)
{
    const dd_room_bytes b = dd_room_bytes_(t, &t->room);
    return dd_room_total_(&b);
}

/* Of what storage tells of itself, all but the threads'. */
static double allocated(const dd_trainer_info *i)
{
    return (double)(i->weights_bytes + i->packed_weights_bytes + i->moments_bytes +
                    i->segments_bytes + i->lanes_bytes + i->workspaces_bytes + i->scratch_bytes +
                    i->other_bytes);
}

/* ---- Counting ---- */

static void what_is_counted_is_allocated(void **state)
{
    (void)state;
    static const struct {
        dd_reduce reduce;
        uint32_t workers, micro_batch;
        bool steal, guard;
    } runs[] = {
        {DD_REDUCE_TREE, 1, 0, false, false},   {DD_REDUCE_TREE, 5, 3, false, false},
        {DD_REDUCE_TREE, 3, 1, true, false},    {DD_REDUCE_CONTROL, 12, 2, false, false},
        {DD_REDUCE_SLICED, 4, 0, false, false}, {DD_REDUCE_SLICED, 4, 7, false, true},
        {DD_REDUCE_OWNER, 1, 0, false, false},  {DD_REDUCE_OWNER, 7, 0, true, false},
        {DD_REDUCE_OWNER, 20, 0, false, false},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        dd_config c = long_lanes();
        c.reduce = runs[i].reduce;
        c.workers = runs[i].workers;
        c.micro_batch = runs[i].micro_batch;
        c.steal = runs[i].steal;
        c.guard = runs[i].guard;
        c.depth = 2;
        c.allow_idle = true;
        dd_trainer *t = open_trainer(&c);
        dd_trainer_info info;
        dd_trainer_info_get(t, &info);
        const dd_room_bytes b = dd_room_bytes_(t, &t->room);
        assert_true(b.weights == (double)info.weights_bytes);
        assert_true(b.packed == (double)info.packed_weights_bytes);
        assert_true(b.moments == (double)info.moments_bytes);
        assert_true(b.segments == (double)info.segments_bytes);
        assert_true(b.lanes == (double)info.lanes_bytes);
        assert_true(b.workspaces == (double)info.workspaces_bytes);
        assert_true(b.scratch == (double)info.scratch_bytes);
        assert_true(b.other == (double)info.other_bytes);
        assert_true((b.lanes > 0) == (c.micro_batch > 0));
        dd_trainer_close(t);
    }
}

/* ---- Choosing ---- */

/* What a run with these settings holds; opened without a limit. */
static double needs(dd_config c, dd_reduce reduce, uint32_t micro_batch)
{
    c.memory_limit = 0;
    c.reduce = reduce;
    c.micro_batch = micro_batch;
    dd_trainer *t = open_trainer(&c);
    const double bytes = counted(t);
    dd_trainer_close(t);
    return bytes;
}

/* Down from what all would take: each limit is kept, and the next better choice would not fit. */
static void the_best_that_fits(void **state)
{
    (void)state;
    dd_config c = long_lanes();
    double need[9]; /* tree, by micro-batch; [0]: whole lanes */
    const double owner = needs(c, DD_REDUCE_OWNER, 0);
    for (uint32_t m = 0; m < 8; m++)
        need[m] = needs(c, DD_REDUCE_TREE, m);
    assert_true(owner > need[0] && need[0] > need[6]);
    struct {
        double limit;
        dd_reduce asked, reduce;
        uint32_t micro_batch;
    } limits[] = {
        {owner, DD_REDUCE_AUTO, DD_REDUCE_OWNER, 0},
        {owner - 1, DD_REDUCE_AUTO, DD_REDUCE_TREE, 0},
        {need[0], DD_REDUCE_AUTO, DD_REDUCE_TREE, 0},
        {need[0] - 1, DD_REDUCE_AUTO, DD_REDUCE_TREE, 7},
        {need[7] - 1, DD_REDUCE_AUTO, DD_REDUCE_TREE, 6},
        {need[3], DD_REDUCE_AUTO, DD_REDUCE_TREE, 3},
        {need[3], DD_REDUCE_TREE, DD_REDUCE_TREE, 3},
        {need[3] - 1, DD_REDUCE_CONTROL, DD_REDUCE_CONTROL, 2},
        {need[1], DD_REDUCE_AUTO, DD_REDUCE_TREE, 1},
        {owner, DD_REDUCE_OWNER, DD_REDUCE_OWNER, 0},
    };
    if (need[7] >= need[0]) /* the gradient that a cut lane needs outweighs a sequence */
        limits[3].micro_batch = 6;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        c.memory_limit = (uint64_t)limits[i].limit;
        c.reduce = limits[i].asked;
        dd_trainer *t = open_trainer(&c);
        dd_trainer_info info;
        dd_trainer_info_get(t, &info);
        assert_true(counted(t) <= limits[i].limit && allocated(&info) <= limits[i].limit);
        if (info.reduce != limits[i].reduce || info.micro_batch != limits[i].micro_batch)
            fail_msg("limit %.0f: reduce %d and micro-batch %u, %d and %u are right",
                     limits[i].limit, (int)info.reduce, info.micro_batch, (int)limits[i].reduce,
                     limits[i].micro_batch);
        dd_trainer_close(t);
    }
}

static void too_little_is_refused(void **state)
{
    (void)state;
    dd_config c = long_lanes();
    static const struct {
        dd_reduce reduce;
        uint32_t micro_batch;
        const char *how;
    } asked[] = {
        {DD_REDUCE_AUTO, 0, "room for 2 workers with reduce tree, micro-batch 1 takes"},
        {DD_REDUCE_SLICED, 0, "reduce sliced, micro-batch 1 takes"},
        {DD_REDUCE_TREE, 5, "reduce tree, micro-batch 5 takes"},
        {DD_REDUCE_OWNER, 0, "reduce owner takes"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        dd_trainer *t;
        dd_error error;
        const bool free = asked[i].reduce == DD_REDUCE_AUTO || asked[i].reduce == DD_REDUCE_SLICED;
        const uint32_t micro_batch = asked[i].micro_batch ? asked[i].micro_batch : free ? 1 : 0;
        const double need = needs(
            c, asked[i].reduce == DD_REDUCE_AUTO ? DD_REDUCE_TREE : asked[i].reduce, micro_batch);
        c.reduce = asked[i].reduce;
        c.micro_batch = asked[i].micro_batch;
        c.memory_limit = (uint64_t)need;
        dd_trainer_close(open_trainer(&c));
        c.memory_limit--;
        assert_int_equal(dd_trainer_open(&c, data, &t, &error), DD_ERR_ARGUMENT);
        if (!strstr(error.message, asked[i].how) || !strstr(error.message, "1 worker would need") ||
            !strstr(error.message, "need less"))
            fail_msg("the message is \"%s\"", error.message);
    }
}

/* ---- A process ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED true
#else
#define SHADOWED false
#endif

/* The most memory this process had so far, in bytes; 0: not told. */
static double peak(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %lu", &kib) != 1)
        continue;
    if (f)
        fclose(f);
    return 1024.0 * (double)kib;
}

/* What the promise leaves out: the team, pages that are begun, code that is read. */
#define ALLOWANCE (4 * 0x1p20)

/* Exit statuses of a child. */
enum { KEPT, BEYOND, FAR_BELOW, FAILED };

static int train_under(const dd_config *c)
{
    dd_trainer *t;
    dd_error error;
    double loss;
    const double before = peak();
    if (dd_trainer_open(c, data, &t, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return FAILED;
    }
    for (int i = 0; i < 2; i++)
        if (dd_trainer_step(t, NULL, &error))
            return FAILED;
    if (dd_trainer_validate(t, 1, &loss, &error))
        return FAILED;
    const double grown = peak() - before, limit = (double)c->memory_limit;
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    print_message("limit %.1f MiB, reduce %d, micro-batch %u: counted %.1f, grown by %.1f MiB\n",
                  limit / 0x1p20, (int)info.reduce, info.micro_batch, counted(t) / 0x1p20,
                  grown / 0x1p20);
    dd_trainer_close(t);
    if (!(grown <= limit + ALLOWANCE))
        return BEYOND;
    return grown >= 0.6 * limit ? KEPT : FAR_BELOW;
}

/* A child each, since a peak never falls. */
static void a_process_keeps_its_limit(void **state)
{
    (void)state;
    if (SHADOWED || peak() <= 0) {
        print_message("SKIP: resident memory is not the trainer's alone here\n");
        skip();
    }
    dd_config c = long_lanes();
    const double limits[] = {needs(c, DD_REDUCE_OWNER, 0), needs(c, DD_REDUCE_TREE, 0),
                             needs(c, DD_REDUCE_TREE, 3), needs(c, DD_REDUCE_TREE, 1)};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        c.memory_limit = (uint64_t)limits[i];
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            const int status = train_under(&c);
            fflush(NULL);
            _exit(status);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), KEPT);
    }
}

/* Terabytes, refused at once and for nothing. */
static void a_refusal_costs_nothing(void **state)
{
    (void)state;
    dd_config c;
    dd_trainer *t;
    dd_error error;
    dd_config_default(&c);
    assert_true(dd_shape_named("gpt2-124M", &c.shape));
    c.seq = 64;
    c.batch = 144;
    c.workers = 12;
    c.memory_limit = 64 << 20;
    const double before = peak();
    assert_int_equal(dd_trainer_open(&c, data, &t, &error), DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "memory-limit 64.0 MiB: "));
    assert_true(peak() - before <= ALLOWANCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_costs_nothing),      cmocka_unit_test(a_process_keeps_its_limit),
        cmocka_unit_test(what_is_counted_is_allocated), cmocka_unit_test(the_best_that_fits),
        cmocka_unit_test(too_little_is_refused),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
