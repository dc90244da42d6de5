/* SPDX-License-Identifier: MIT
 * The sweep, with planted children: it goes on whatever becomes of its cells, repeats them as often
 * as asked and in an order of its own, and stops and goes on at any run. */
#include "child_fixture.h"
#include "sweep_times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Verdicts ---- */

/* Chooses its part by the number of workers, which no check needs here. */
static void body_mixed(const dd_settings *s, dd_child *child)
{
    static dd_cell_body *const parts[] = {body_good,    body_spins,  body_wrong_hash,
                                          body_refuses, body_faults, body_good};
    parts[s->config.workers](s, child);
}

#define N_CELLS 6

static void make_scenario(dd_scenario *scenario, dd_scenario_cell *cells, uint32_t repeats)
{
    static char label[] = "planted";
    for (uint32_t i = 0; i < N_CELLS; i++) {
        cells[i] = (dd_scenario_cell){.settings = settings_of(LIMIT), .label = label};
        cells[i].settings.config.workers = i;
        cells[i].settings.repeats = repeats;
        cells[i].settings.shuffle = 0;
    }
    *scenario = (dd_scenario){
        .file = "planted", .name = "planted", .about = "", .n_cells = N_CELLS, .cells = cells};
}

static void test_sweep_goes_on(void **state)
{
    (void)state;
    static const dd_verdict expected[N_CELLS] = {DD_PASS, DD_HANG,  DD_FAIL,
                                                 DD_SKIP, DD_CRASH, DD_PASS};
    drop_handlers();
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    make_scenario(&scenario, cells, 2);
    dd_sweep *sweep = dd_sweep_open(&scenario);
    assert_non_null(sweep);
    assert_int_equal(sweep->n_oracles, 1);
    dd_sweep_options options = {.stop_fd = -1, .train = body_mixed, .serial = body_good};
    dd_sweep_run_all(sweep, &options);
    for (size_t i = 0; i < N_CELLS; i++) {
        if (sweep->cells[i].verdict != expected[i])
            fail_msg("cell %zu: %s", i, dd_verdict_name(sweep->cells[i].verdict));
        for (uint32_t r = 0; r < 2; r++)
            assert_int_equal(sweep->cells[i].repeats[r].verdict, expected[i]);
    }
    assert_false(sweep->interrupted);
    assert_int_equal(sweep->runs_done, sweep->runs_due);
    assert_int_equal(dd_sweep_verdict(sweep), DD_CRASH);
    dd_sweep_close(sweep);
}

/* A sweep whose second cell will have wrong bits, with body_mixed. */
static dd_sweep *open_one_wrong(dd_scenario *scenario, dd_scenario_cell cells[N_CELLS])
{
    drop_handlers();
    make_scenario(scenario, cells, 1);
    for (uint32_t i = 0; i < N_CELLS; i++)
        cells[i].settings.config.workers = i == 1 ? 2 : 0;
    dd_sweep *sweep = dd_sweep_open(scenario);
    assert_non_null(sweep);
    return sweep;
}

/* One cell is run again, and with it the oracle, which had crashed: all cells are judged by it. */
static void test_late_oracle(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    dd_sweep *sweep = open_one_wrong(&scenario, cells);
    dd_sweep_options options = {.stop_fd = -1, .train = body_mixed, .serial = body_faults};
    dd_sweep_run_all(sweep, &options);
    assert_int_not_equal(dd_sweep_verdict(sweep), DD_PASS);
    dd_sweep_forget(sweep, 0);
    options.serial = body_good;
    dd_sweep_run_all(sweep, &options);
    for (size_t i = 0; i < N_CELLS; i++)
        assert_int_equal(sweep->cells[i].verdict, i == 1 ? DD_FAIL : DD_PASS);
    assert_true(dd_sweep_is_complete(sweep));
    dd_sweep_close(sweep);
}

/* A sweep that is resumed may lack the oracle's run: it is made, and until then no cell passes. */
static void test_missing_oracle(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    dd_sweep *sweep = open_one_wrong(&scenario, cells);
    int fd = eventfd(0, EFD_CLOEXEC);
    const uint64_t one = 1;
    dd_sweep_options options = {.stop_fd = fd, .train = body_mixed, .serial = body_good};
    dd_sweep_run_all(sweep, &options);
    dd_run_clear(&sweep->oracles[0].run);
    dd_sweep_judge(sweep); /* as a restored one is */
    assert_false(dd_sweep_is_complete(sweep));
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
    dd_sweep_run_all(sweep, &options);
    assert_true(sweep->interrupted);
    for (size_t i = 0; i < N_CELLS; i++)
        assert_int_equal(sweep->cells[i].verdict, DD_SKIP);
    options.stop_fd = -1;
    dd_sweep_run_all(sweep, &options);
    for (size_t i = 0; i < N_CELLS; i++)
        assert_int_equal(sweep->cells[i].verdict, i == 1 ? DD_FAIL : DD_PASS);
    assert_int_equal(sweep->runs_done, sweep->runs_due);
    assert_true(dd_sweep_is_complete(sweep));
    dd_sweep_close(sweep);
    close(fd);
}

/* What the first cell suffers on purpose, the oracle that it shares does not. */
static void test_oracle_is_left_alone(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    make_scenario(&scenario, cells, 1);
    cells[0].settings.plant = DD_PLANT_STRAY_WRITE;
    cells[0].settings.hog = 2;
    dd_sweep *sweep = dd_sweep_open(&scenario);
    assert_non_null(sweep);
    assert_int_equal(sweep->n_oracles, 1);
    assert_int_equal(sweep->oracles[0].settings.plant, DD_PLANT_NONE);
    assert_int_equal(sweep->oracles[0].settings.hog, 0);
    dd_sweep_close(sweep);
}

/* ---- Repeats ---- */

/* The runs of a sweep, in the order in which they ended. */
typedef struct diary {
    size_t n;
    dd_sweep_place place[256];
    int stop_fd;       /* raised after `stop_after` runs */
    size_t stop_after; /* 0: never */
    size_t n_complete; /* runs after which none was left to do */
} diary;

static void note(void *user, const dd_sweep *sweep, const dd_sweep_place *done)
{
    diary *d = user;
    const uint64_t one = 1;
    if (!done)
        return;
    assert_true(d->n < 256);
    d->place[d->n++] = *done;
    d->n_complete += dd_sweep_is_complete(sweep);
    if (d->n == d->stop_after)
        assert_int_equal(write(d->stop_fd, &one, sizeof one), sizeof one);
}

/* Children count themselves here. */
static _Atomic unsigned *n_children;

/* Steps of one worker take the same time in every run; of two, each run takes another time, half as
 * long again as the one before. */
static void body_timed(const dd_settings *s, dd_child *child)
{
    uint64_t ns = 1000;
    for (unsigned i = atomic_fetch_add(n_children, 1) % 16; i > 0 && s->config.workers == 2; i--)
        ns += ns / 2;
    for (unsigned i = 0; i < STEPS; i++) {
        dd_step step = {.step = i, .loss = 4 - 0.1 * i, .norm = 1, .wall_ns = ns};
        dd_child_step(child, &step);
    }
    dd_run_end end = good_end();
    dd_child_end(child, &end);
}

static void make_timed(dd_scenario *scenario, dd_scenario_cell *cells, size_t n)
{
    static char label[] = "timed";
    for (size_t i = 0; i < n; i++) {
        cells[i] = (dd_scenario_cell){.settings = settings_of(30), .label = label};
        cells[i].settings.config.workers = i % 2 ? 2 : 1;
        cells[i].settings.repeats = 3;
        cells[i].settings.interval = 0.01;
        cells[i].settings.repeats_max = 5;
    }
    *scenario = (dd_scenario){
        .file = "planted", .name = "planted", .about = "", .n_cells = n, .cells = cells};
}

static dd_sweep *run_timed(const dd_scenario *scenario, diary *d, bool untimeable)
{
    dd_sweep *sweep = dd_sweep_open(scenario);
    assert_non_null(sweep);
    sweep->untimeable = untimeable;
    dd_sweep_options options = {
        .stop_fd = -1, .train = body_timed, .serial = body_good, .on_run = note, .user = d};
    dd_sweep_run_all(sweep, &options);
    return sweep;
}

/* A steady cell is run no more than asked for, an unsteady one until its cap. */
static void test_repeats_until_narrow(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[2];
    diary d = {0};
    make_timed(&scenario, cells, 2);
    dd_sweep *sweep = run_timed(&scenario, &d, false);
    assert_int_equal(sweep->cells[0].n_repeats, 3);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[0]), DD_CELL_NARROW);
    assert_int_equal(sweep->cells[1].n_repeats, 5);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[1]), DD_CELL_AT_MOST);
    assert_int_equal(sweep->runs_done, sweep->runs_due);
    assert_int_equal(sweep->runs_done, d.n);
    assert_int_equal(d.n_complete, 1);
    dd_sweep_close(sweep);

    cells[0].settings.minutes_max = cells[1].settings.minutes_max = 1e-9; /* over at once */
    d.n = 0;
    sweep = run_timed(&scenario, &d, false);
    assert_int_equal(sweep->cells[1].n_repeats, 3);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[1]), DD_CELL_LATE);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[0]), DD_CELL_NARROW);
    dd_sweep_close(sweep);

    cells[1].settings.minutes_max = 0; /* nor is a build timed whose times mean nothing */
    d.n = 0;
    sweep = run_timed(&scenario, &d, true);
    assert_int_equal(sweep->cells[1].n_repeats, 3);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[1]), DD_CELL_REPEATS);
    dd_sweep_close(sweep);
}

/* The k-th run of that round that is a cell's. */
static size_t cell_in_round(const diary *d, uint32_t repeat, size_t k)
{
    for (size_t i = 0; i < d->n; i++)
        if (!d->place[i].oracle && d->place[i].repeat == repeat && k-- == 0)
            return d->place[i].at;
    fail_msg("round %u has no such run", repeat);
    return 0;
}

/* Every round has every cell once, in an order of its own; the seed tells it; 0 is the file's. */
static void test_rounds_are_shuffled(void **state)
{
    (void)state;
    enum { N = 8 };
    dd_scenario scenario;
    dd_scenario_cell cells[N];
    diary d[3] = {0};
    make_timed(&scenario, cells, N);
    for (int way = 0; way < 3; way++) {
        for (size_t i = 0; i < N; i++) {
            cells[i].settings.shuffle = way == 2 ? 0 : 7;
            cells[i].settings.interval = 0;
        }
        dd_sweep_close(run_timed(&scenario, &d[way], false));
        assert_int_equal(d[way].n, 1 + 3 * N);
    }
    size_t alike = 0;
    for (uint32_t r = 0; r < 3; r++) {
        bool seen[N] = {false};
        for (size_t k = 0; k < N; k++) {
            const size_t at = cell_in_round(&d[0], r, k);
            assert_false(seen[at]);
            seen[at] = true;
            alike += at == k;
            assert_int_equal(cell_in_round(&d[1], r, k), at);
            assert_int_equal(cell_in_round(&d[2], r, k), k);
        }
        /* no round begins before the last has ended */
        assert_int_equal(d[0].place[1 + r * N].repeat, r);
    }
    assert_true(alike < N);
    assert_true(cell_in_round(&d[0], 0, 0) != cell_in_round(&d[0], 1, 0) ||
                cell_in_round(&d[0], 0, 1) != cell_in_round(&d[0], 1, 1));
}

/* Stopped after any run and gone on with, the same runs are made in the same order. */
static void test_goes_on(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[4];
    make_timed(&scenario, cells, 4);
    for (size_t i = 0; i < 4; i++)
        cells[i].settings.config.workers = 1;
    diary whole = {0};
    dd_sweep_close(run_timed(&scenario, &whole, false));
    assert_int_equal(whole.n, 13);
    for (size_t stop = 1; stop < whole.n; stop++) {
        diary d = {.stop_fd = eventfd(0, EFD_CLOEXEC), .stop_after = stop};
        dd_sweep *sweep = dd_sweep_open(&scenario);
        assert_non_null(sweep);
        dd_sweep_options options = {.stop_fd = d.stop_fd,
                                    .train = body_timed,
                                    .serial = body_good,
                                    .on_run = note,
                                    .user = &d};
        dd_sweep_run_all(sweep, &options);
        assert_true(sweep->interrupted);
        assert_int_equal(d.n, stop);
        dd_sweep_judge(sweep); /* as a restored one is */
        assert_false(dd_sweep_is_complete(sweep));
        options.stop_fd = -1;
        dd_sweep_run_all(sweep, &options);
        assert_int_equal(d.n, whole.n);
        for (size_t i = 0; i < whole.n; i++) {
            const dd_sweep_place *a = &d.place[i], *b = &whole.place[i];
            if (a->oracle != b->oracle || a->at != b->at || a->repeat != b->repeat)
                fail_msg("stopped after run %zu, run %zu is another", stop, i);
        }
        assert_false(sweep->interrupted);
        assert_true(dd_sweep_is_complete(sweep));
        assert_int_equal(dd_sweep_verdict(sweep), DD_PASS);
        dd_sweep_close(sweep);
        close(d.stop_fd);
    }
}

static void raise_flag(void *user, const dd_sweep *sweep, const dd_sweep_place *done)
{
    (void)done;
    uint64_t one = 1;
    if (sweep->runs_done == 2) /* the oracle and the first cell */
        assert_int_equal(write(*(int *)user, &one, sizeof one), sizeof one);
}

static void test_sweep_interrupted(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    make_scenario(&scenario, cells, 1);
    dd_sweep *sweep = dd_sweep_open(&scenario);
    assert_non_null(sweep);
    int fd = eventfd(0, EFD_CLOEXEC);
    dd_sweep_options options = {
        .stop_fd = fd, .train = body_mixed, .serial = body_good, .on_run = raise_flag, .user = &fd};
    dd_sweep_run_all(sweep, &options);
    assert_true(sweep->interrupted);
    assert_int_equal(sweep->cells[0].verdict, DD_PASS);
    for (size_t i = 1; i < N_CELLS; i++) {
        assert_int_equal(sweep->cells[i].verdict, DD_SKIP);
        assert_string_equal(sweep->cells[i].repeats[0].check[0].reason, "interrupted");
    }
    dd_sweep_close(sweep);
    close(fd);
}

int main(void)
{
    n_children =
        mmap(NULL, sizeof *n_children, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (n_children == MAP_FAILED)
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep_goes_on),       cmocka_unit_test(test_oracle_is_left_alone),
        cmocka_unit_test(test_sweep_interrupted),   cmocka_unit_test(test_repeats_until_narrow),
        cmocka_unit_test(test_rounds_are_shuffled), cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_late_oracle),         cmocka_unit_test(test_missing_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
