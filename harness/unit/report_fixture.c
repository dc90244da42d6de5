/* SPDX-License-Identifier: MIT
 * Runs made up by hand. */
#include "report_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const nasty = "a|b,\"c\" <d>&\xff'\x01`*_\n]]>";

void end_run(dd_run *run, uint32_t workers, uint64_t step_ns)
{
    run->outcome = DD_RUN_ENDED;
    run->steps = calloc(STEPS, sizeof *run->steps);
    assert_non_null(run->steps);
    run->n_steps = STEPS;
    for (unsigned i = 0; i < STEPS; i++)
        /* step 0 is slow and does not count; the rest are step_ns - 1 … step_ns + 2 */
        run->steps[i] = (dd_step){.step = i,
                                  .loss = 4 - 0.1 * i,
                                  .norm = 1,
                                  .wall_ns = i ? step_ns + i - 2 : 50 * step_ns};
    strcpy(run->end.hash, "0123456789abcdef0123456789abcdef");
    strcpy(run->end.kernels, "avx2");
    strcpy(run->end.data, "builtin");
    run->end.floor_nats = 1.5;
    run->end.info.workers = workers;
    run->end.info.non_empty_lanes = 12;
    run->end.info.requests = STEPS;
    run->end.info.lane_bound = workers;
    run->end.info.lanes_done = STEPS * 12;
    run->end.info.n_spheres = run->end.info.n_threads = workers + 1;
    run->end.info.n_segments = run->end.info.most_segments = 4;
    run->end.info.segments_bytes = 4000;
    run->end.info.packed_weights_bytes = 2100;
    run->end.info.n_parameters = 250;
    run->end.sphere = calloc(workers + 1, sizeof *run->end.sphere);
    assert_non_null(run->end.sphere);
    strcpy(run->end.sphere[0].sphere, "zero");
    for (uint32_t w = 1; w <= workers; w++)
        run->end.sphere[w] = (dd_sphere_info){.sphere = "0",
                                              .thread = w,
                                              .segments = w == 1 ? 4 : 0,
                                              .lanes_done = STEPS * 12 / workers};
}

void judge(fixture *f, size_t i, uint32_t repeat)
{
    dd_sweep_cell *cell = &f->sweep->cells[i];
    dd_sweep_run *run = &cell->repeats[repeat];
    run->verdict = dd_checks_judge(&cell->plan->settings, &run->run,
                                   &f->sweep->oracles[cell->oracle].run, NULL, run->check);
    cell->verdict = dd_verdict_join(cell->verdict, run->verdict);
}

int set_up(void **state)
{
    static char plain_label[] = "a cell";
    static const uint32_t workers[N_CELLS] = {1, 2, 6, 2};
    static const uint64_t step_ns[N_CELLS] = {8000, 4000, 2000, 0};
    static const char *const values[N_CELLS] = {"1", "2", "6", "2"};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->swept[0] = dd_key_named("workers");
    f->swept[1] = dd_key_named("barrier");
    for (size_t i = 0; i < N_CELLS; i++) {
        dd_scenario_cell *cell = &f->cells[i];
        dd_settings_default(&cell->settings);
        cell->settings.steps = STEPS;
        cell->settings.repeats = 3;
        cell->settings.config.workers = workers[i];
        cell->settings.config.batch = 12;
        cell->settings.config.seq = 16;
        f->values[i][0] = values[i];
        f->values[i][1] = i == 3 ? nasty : "tree";
        cell->values = f->values[i];
        cell->label = plain_label;
    }
    static char nasty_label[64];
    snprintf(nasty_label, sizeof nasty_label, "%s", nasty);
    f->cells[3].label = nasty_label;
    f->scenario = (dd_scenario){.file = "planted.yaml",
                                .name = "planted",
                                .about = "",
                                .n_swept = 2,
                                .swept = f->swept,
                                .n_cells = N_CELLS,
                                .cells = f->cells};
    f->sweep = dd_sweep_open(&f->scenario);
    assert_non_null(f->sweep);
    assert_int_equal(f->sweep->n_oracles, 1);
    end_run(&f->sweep->oracles[0].run, 1, 16000);
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t r = 0; r < 3; r++) {
            /* repeats are 1000 ns apart: the median is the middle one */
            end_run(&f->sweep->cells[i].repeats[r].run, workers[i], step_ns[i] + 1000ull * r);
            judge(f, i, r);
        }
    }
    dd_run *hung = &f->sweep->cells[3].repeats[0].run;
    hung->outcome = DD_RUN_HANG;
    snprintf(hung->reason, sizeof hung->reason, "%s", nasty);
    hung->log = strdup(nasty);
    judge(f, 3, 0);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    fixture *f = *state;
    dd_sweep_close(f->sweep);
    free(f);
    return 0;
}

void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * fabs(b)))
        fail_msg("%.17g, expected %.17g", a, b);
}
