/* SPDX-License-Identifier: MIT
 * The control process of a trainer: what was kept comes back, it pauses and stops, epochs end where
 * they end. Whatever happens, the weights are those of the oracle at the same step. */
#define _GNU_SOURCE /* mkstemp */
#include "elastic_fixture.h"
#include "folder_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Checkpoints in memory ---- */

static void restored_runs_go_on_as_they_did(void **state)
{
    (void)state;
    enum { STEPS = 60 };
    dd_config config = elastic();
    hash *want = oracle_hashes(&config, data, STEPS);
    for (int way = 0; way < 2; way++) {
        config.guard = way;
        dd_trainer *t = open_trainer(&config);
        dd_trainer_info info;
        dd_step step;
        const uint64_t pages = 3 * ((dd_shape_n_parameters(&config.shape) * 4 + 4095) / 4096);

        command_ok(t, DD_COMMAND_CHECKPOINT); /* the start itself */
        dd_trainer_info_get(t, &info);
        assert_int_equal(info.snapshot_pages, pages);
        assert_int_equal(info.snapshot_pages_copied, 0);
        for (uint32_t i = 0; i < 20; i++)
            step_ok(t);
        dd_trainer_info_get(t, &info);
        assert_int_equal(info.snapshot_pages_copied, pages); /* AdamW writes them all */
        command_ok(t, DD_COMMAND_RESTORE);
        assert_hash(t, &want[0]);

        for (uint32_t i = 0; i < 30; i++)
            step_ok(t);
        command_ok(t, DD_COMMAND_CHECKPOINT);
        for (int again = 0; again < 3; again++) {
            for (uint32_t i = 30; i < 40; i++)
                step_ok(t);
            assert_hash(t, &want[40]);
            command_ok(t, DD_COMMAND_RESTORE);
            assert_hash(t, &want[30]);
        }
        /* what the caller writes himself does not reach what was kept */
        uint64_t n;
        (void)dd_trainer_weights(t, &n);
        float *zeros = calloc(n, sizeof *zeros);
        set_all(t, zeros);
        command_ok(t, DD_COMMAND_RESTORE);
        assert_hash(t, &want[30]);
        command_ok(t, DD_COMMAND_CHECKPOINT);
        set_all(t, zeros);
        free(zeros);
        command_ok(t, DD_COMMAND_RESTORE);
        for (uint32_t i = 30; i < STEPS; i++) {
            assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
            assert_int_equal(step.step, i);
        }
        assert_hash(t, &want[STEPS]);
        dd_trainer_close(t);
    }
    free(want);
}

/* A checkpoint taken by another thread while steps go on holds the weights of one step boundary. */
static void *keep_now(void *trainer)
{
    return dd_trainer_command(trainer, DD_COMMAND_CHECKPOINT, NULL) ? trainer : NULL;
}

static void checkpoints_are_of_one_moment(void **state)
{
    (void)state;
    enum { STEPS = 200 };
    dd_config config = elastic();
    config.workers = 4;
    hash *want = oracle_hashes(&config, data, STEPS);
    dd_trainer *t = open_trainer(&config);
    uint32_t at = 0, kept_late = 0;
    for (int round = 0; round < 40; round++) {
        pthread_t thread;
        void *failed;
        const uint32_t before = at, more = 1 + pick(4);
        assert_int_equal(pthread_create(&thread, NULL, keep_now, t), 0);
        for (uint32_t i = 0; i < more && at < STEPS; i++, at++)
            step_ok(t);
        pthread_join(thread, &failed);
        assert_null(failed);
        if (at < STEPS) {
            step_ok(t); /* at least one after it: everything has been written since */
            at++;
        }
        command_ok(t, DD_COMMAND_RESTORE);
        uint8_t got[16];
        dd_trainer_hash(t, got);
        uint32_t boundary = before;
        while (boundary <= at && memcmp(got, want[boundary].byte, sizeof got))
            boundary++;
        assert_true(boundary <= at); /* some boundary between the asking and the end */
        kept_late += boundary > before;
        at = boundary;
        dd_step step;
        if (at < STEPS) {
            assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
            assert_int_equal(step.step, at);
            at++;
        }
    }
    print_message("step %u at the end; %u checkpoints were taken in mid-run\n", at, kept_late);
    dd_trainer_close(t);
    free(want);
}

/* ---- States ---- */

/* returns NULL if all was as it should be */
static void *resume_later(void *trainer)
{
    bool right = true;
    for (int i = 0; i < 3; i++) { /* a paused trainer still answers */
        right &= dd_trainer_state(trainer) == DD_STATE_PAUSED;
        right &= dd_trainer_command(trainer, DD_COMMAND_CHECKPOINT, NULL) == DD_OK;
    }
    right &= dd_trainer_command(trainer, DD_COMMAND_RESUME, NULL) == DD_OK;
    return right ? NULL : trainer;
}

static void states_are_kept(void **state)
{
    (void)state;
    dd_config config = elastic();
    hash *want = oracle_hashes(&config, data, 10);
    dd_trainer *t = open_trainer(&config);
    dd_error error;
    pthread_t thread;
    assert_int_equal(dd_trainer_state(t), DD_STATE_INITIALISING);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_PAUSE, &error), DD_ERR_REFUSED);
    step_ok(t);
    assert_int_equal(dd_trainer_state(t), DD_STATE_RUNNING);
    command_ok(t, DD_COMMAND_PAUSE);
    assert_int_equal(pthread_create(&thread, NULL, resume_later, t), 0);
    step_ok(t); /* waits for it */
    void *failed;
    pthread_join(thread, &failed);
    assert_null(failed);
    command_ok(t, DD_COMMAND_STOP);
    assert_int_equal(dd_trainer_state(t), DD_STATE_STOPPED);
    assert_int_equal(dd_trainer_step(t, NULL, &error), DD_ERR_STOPPED);
    assert_non_null(strstr(error.message, "start"));
    double loss = 1;
    assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_ERR_STOPPED);
    assert_true(loss == 1);
    assert_hash(t, &want[2]);
    command_ok(t, DD_COMMAND_START);
    step_ok(t);
    assert_hash(t, &want[3]);
    command_ok(t, DD_COMMAND_PAUSE);
    dd_trainer_cancel(t); /* a step that is held returns */
    assert_int_equal(dd_trainer_step(t, NULL, &error), DD_ERR_CANCELLED);
    assert_non_null(strstr(error.message, "step 3"));
    command_ok(t, DD_COMMAND_RESUME);
    step_ok(t);
    assert_hash(t, &want[4]);
    dd_trainer_close(t);
    free(want);
}

/* Epochs of a few steps: 12 windows a step of a text of 500 bytes. */
static void epochs_end_where_they_end(void **state)
{
    (void)state;
    char bytes[500], spec[sizeof one_file + 8];
    for (int i = 0; i < 500; i++)
        bytes[i] = "all work and no play "[i % 21];
    write_file(one_file, bytes, sizeof bytes);
    snprintf(spec, sizeof spec, "bytes:%s", one_file);
    dd_data *text;
    assert_int_equal(dd_data_open(spec, 1, &text, NULL), DD_OK);
    dd_config config = elastic();
    config.lane_depth = 1;
    config.batch = 12;
    config.workers = config.max_workers = 2;
    config.shape.V = 256;
    dd_data_split split;
    assert_int_equal(dd_data_split_get(text, 4, 12, &split, NULL), DD_OK);
    const uint64_t epoch = split.steps_per_epoch;
    assert_true(epoch > 3 && epoch < 20);
    hash *want = oracle_hashes(&config, text, (uint32_t)(3 * epoch));
    dd_trainer *t;
    assert_int_equal(dd_trainer_open(&config, text, &t, NULL), DD_OK);

    command_ok(t, DD_COMMAND_START_EPOCH);
    for (uint64_t i = 0; i < epoch; i++) {
        assert_int_equal(dd_trainer_state(t), DD_STATE_RUNNING);
        step_ok(t);
    }
    assert_int_equal(dd_trainer_state(t), DD_STATE_PAUSED);
    command_ok(t, DD_COMMAND_RESUME);
    step_ok(t);
    command_ok(t, DD_COMMAND_END_EPOCH);
    for (uint64_t i = 1; i < epoch; i++) {
        assert_int_equal(dd_trainer_state(t), DD_STATE_RUNNING);
        step_ok(t);
    }
    assert_int_equal(dd_trainer_state(t), DD_STATE_PAUSED);
    command_ok(t, DD_COMMAND_START_EPOCH);
    dd_trainer_cancel(t); /* a step that was cancelled where an epoch begins ends none */
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_ERR_CANCELLED);
    assert_int_equal(dd_trainer_state(t), DD_STATE_RUNNING);
    for (uint64_t i = 0; i < epoch; i++)
        step_ok(t);
    assert_int_equal(dd_trainer_state(t), DD_STATE_PAUSED);
    assert_hash(t, &want[3 * epoch]);

    /* the epoch has ended, and a step that is cancelled begins no other: end-epoch pauses here */
    command_ok(t, DD_COMMAND_RESUME);
    dd_trainer_cancel(t);
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_ERR_CANCELLED);
    command_ok(t, DD_COMMAND_END_EPOCH);
    assert_int_equal(dd_trainer_state(t), DD_STATE_PAUSED);
    dd_trainer_close(t);

    /* back from the end of an epoch into its midst, which is not its end */
    assert_int_equal(dd_trainer_open(&config, text, &t, NULL), DD_OK);
    step_ok(t);
    command_ok(t, DD_COMMAND_CHECKPOINT);
    for (uint64_t i = 1; i < epoch; i++)
        step_ok(t);
    command_ok(t, DD_COMMAND_RESTORE);
    command_ok(t, DD_COMMAND_END_EPOCH);
    for (uint64_t i = 1; i < epoch; i++) {
        assert_int_equal(dd_trainer_state(t), DD_STATE_RUNNING);
        step_ok(t);
    }
    assert_int_equal(dd_trainer_state(t), DD_STATE_PAUSED);
    assert_hash(t, &want[epoch]);
    dd_trainer_close(t);
    dd_data_close(text);
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restored_runs_go_on_as_they_did),
        cmocka_unit_test(checkpoints_are_of_one_moment),
        cmocka_unit_test(states_are_kept),
        cmocka_unit_test_setup_teardown(epochs_end_where_they_end, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
