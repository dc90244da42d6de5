/* SPDX-License-Identifier: MIT
 * A trainer in guard mode: whose memory nobody may write when, and what becomes of a request when
 * the system refuses to change the protection of pages. The guard by itself: test_guard. */
#define _GNU_SOURCE /* SEGV_ACCERR */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dying.h"
#include "packed.h"
#include "serial.h"
#include "trainer_fixture.h"
#include "trainer_parts.h"

#include "pages.h"

/* ---- Protection that is refused when told to (linked with --wrap) ---- */

static dd_atomic_u32 changes_left; /* UINT32_MAX: none is refused; 0: all that let writers in are */

bool __real_dd_pages_protect(void *pages, size_t bytes, dd_pages_access access);
bool __wrap_dd_pages_protect(void *pages, size_t bytes, dd_pages_access access);

bool __wrap_dd_pages_protect(void *pages, size_t bytes, dd_pages_access access)
{
    const uint32_t left = dd_u32_load(&changes_left, DD_RELAXED);
    if (left == 0 && access == DD_PAGES_WRITE)
        return false;
    if (left == 1) { /* this one; those after it are not */
        dd_u32_store(&changes_left, UINT32_MAX, DD_RELAXED);
        return false;
    }
    if (left != 0 && left != UINT32_MAX)
        dd_u32_store(&changes_left, left - 1, DD_RELAXED);
    return __real_dd_pages_protect(pages, bytes, access);
}

/* ---- Writes out of a lane (linked with --wrap) ---- */

enum { TARGETS = 6 }; /* both ends of weights, packed weights and batch */

/* The last of so many lanes tries, each in a child that is forked there, to write what nobody may
 * write while lanes run. Ordered between requests. */
static struct {
    dd_atomic_u32 lanes_left; /* atomic: lanes run at once; 0: nothing is ordered */
    char *address[TARGETS];
    int fate[TARGETS]; /* as fate_of has it */
} order;

static void obey(void)
{
    uint32_t left = dd_u32_load(&order.lanes_left, DD_RELAXED);
    while (left &&
           !dd_u32_compare_exchange(&order.lanes_left, &left, left - 1, DD_RELAXED, DD_RELAXED))
        continue;
    for (int i = 0; left == 1 && i < TARGETS; i++)
        order.fate[i] = fate_of(write_byte, order.address[i]);
}

double __real_dd_gpt2_loss(const dd_model *m, dd_workspace *w, const dd_lane *lane, uint32_t first);
double __wrap_dd_gpt2_loss(const dd_model *m, dd_workspace *w, const dd_lane *lane, uint32_t first);
void __real_dd_gpt2_gradient(const dd_model *m, dd_workspace *w, const dd_lane *lane, dd_sink sink,
                             dd_segment *out);
void __wrap_dd_gpt2_gradient(const dd_model *m, dd_workspace *w, const dd_lane *lane, dd_sink sink,
                             dd_segment *out);

double __wrap_dd_gpt2_loss(const dd_model *m, dd_workspace *w, const dd_lane *lane, uint32_t first)
{
    obey();
    return __real_dd_gpt2_loss(m, w, lane, first);
}

void __wrap_dd_gpt2_gradient(const dd_model *m, dd_workspace *w, const dd_lane *lane, dd_sink sink,
                             dd_segment *out)
{
    obey();
    __real_dd_gpt2_gradient(m, w, lane, sink, out);
}

/* ---- Fixtures ---- */

static int open_group(void **state)
{
    dd_u32_init(&changes_left, UINT32_MAX);
    dd_u32_init(&order.lanes_left, 0);
    return open_data(state);
}

static dd_config guarded(dd_reduce reduce)
{
    dd_config config;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 1, .C = 6, .V = 64, .T_max = 4};
    config.workers = 3;
    config.guard = true;
    config.reduce = reduce;
    return config;
}

/* ---- Whose memory ---- */

static void assert_same(const dd_trainer *t, dd_serial *oracle)
{
    uint8_t got[16], want[16];
    dd_trainer_hash(t, got);
    dd_serial_hash(oracle, want);
    assert_memory_equal(got, want, sizeof got);
}

static void regions_are_known(void **state)
{
    (void)state;
    dd_config config = guarded(DD_REDUCE_TREE);
    dd_trainer *t = open_trainer(&config);
    dd_serial *oracle;
    assert_int_equal(dd_serial_open(&config, data, &oracle, NULL), DD_OK);
    dd_region_info region;
    const float *w = dd_trainer_weights(t, NULL);
    assert_true(dd_trainer_region_of(t, w + 5, &region));
    assert_string_equal(region.region, "weights");
    assert_int_equal(region.offset, 20);
    assert_int_equal(region.thread, UINT32_MAX); /* the caller is none of the trainer's threads */
    assert_string_equal(region.sphere, "");
    assert_true(dd_trainer_region_of(t, w - 1, &region));
    assert_string_equal(region.region, "guard page");
    assert_int_equal(region.offset, -4);
    assert_true(dd_trainer_region_of(t, t->packed + 3, &region));
    assert_string_equal(region.region, "packed weights");
    assert_int_equal(region.offset, 12);
    assert_false(dd_trainer_region_of(t, &config, &region));
    for (int i = 0; i < 5; i++) {
        set_one(t, 0, w[0]); /* between steps the caller may write */
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
        assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
    }
    assert_same(t, oracle);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    print_message("guard: %u keys, %.0f %% of segments; %s\n", info.guard_keys,
                  100 * info.guard_share, info.guard_why);
    assert_true(info.guard_keys ? info.guard_share > 0 : info.guard_why[0] != '\0');
    dd_serial_close(oracle);
    dd_trainer_close(t);
    config.guard = false;
    t = open_trainer(&config);
    assert_false(dd_trainer_region_of(t, dd_trainer_weights(t, NULL), &region));
    dd_trainer_close(t);
}

static char *weights_of(const dd_trainer *t)
{
    return (char *)t->kept_array[DD_KEPT_WEIGHTS];
}

static void give_order(dd_trainer *t, uint32_t lanes)
{
    char *const region[] = {weights_of(t), (char *)t->packed, (char *)t->first_token};
    const size_t bytes[] = {t->P * sizeof(float), dd_packed_size(&t->model.layout) * sizeof(float),
                            t->config.batch * sizeof *t->first_token};
    for (int i = 0; i < TARGETS; i++)
        order.address[i] = region[i / 2] + (i % 2 ? bytes[i / 2] - 1 : 0);
    for (int i = 0; i < TARGETS; i++) { /* between requests the caller may */
        assert_lives(write_byte, order.address[i]);
        order.fate[i] = -1;
    }
    dd_u32_store(&order.lanes_left, lanes, DD_RELAXED);
}

static void assert_obeyed(void)
{
    assert_int_equal(dd_u32_load(&order.lanes_left, DD_RELAXED), 0);
    for (int i = 0; i < TARGETS; i++) {
        assert_int_equal(order.fate[i], SEGV_ACCERR); /* at that very address */
        assert_lives(write_byte, order.address[i]);
    }
}

/* Whatever lanes are run for, weights and batch are not theirs to write. */
static void no_lane_can_write_weights_or_batch(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) {
        dd_config config = guarded((dd_reduce)(k % 3));
        config.barrier = (dd_barrier)(k / 3);
        dd_trainer *t = open_trainer(&config);
        double loss;
        dd_step step;
        for (int i = 0; i < 2; i++) { /* validation before any step, and after one */
            give_order(t, i ? 1 : 13);
            assert_int_equal(dd_trainer_validate(t, 2, &loss, NULL), DD_OK);
            assert_obeyed();
            give_order(t, 1);
            step_ok(t);
            assert_obeyed();
        }
        set_one(t, 0, NAN);
        give_order(t, 13); /* the step has 12 lanes: one of its replay */
        assert_int_equal(dd_trainer_step(t, &step, NULL), DD_ERR_NONFINITE);
        assert_non_null(step.culprit.tensor);
        assert_obeyed();
        dd_trainer_close(t);
    }
}

/* ---- Control data ---- */

static void assert_locked(const dd_trainer *t, void *address, size_t bytes)
{
    dd_region_info region;
    char *last = (char *)address + bytes - 1;
    assert_true(dd_trainer_region_of(t, last, &region));
    assert_string_equal(region.region, "locked");
    assert_int_equal(region.offset, bytes - 1);
    assert_dies(write_byte, address);
    assert_dies(write_byte, last);
    assert_lives(read_byte, last);
}

static void control_data_is_locked_from_open_to_close(void **state)
{
    (void)state;
    const dd_config config = guarded(DD_REDUCE_SLICED);
    dd_trainer *t = open_trainer(&config);
    for (int i = 0; i < 3; i++) {
        assert_locked(t, t->lane_tokens, t->n_lanes * sizeof *t->lane_tokens);
        assert_locked(t, t->workspace, t->n_workspaces * sizeof *t->workspace);
        assert_locked(t, t->slice_scratch, config.workers * sizeof *t->slice_scratch);
        assert_lives(write_byte, weights_of(t));
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    }
    dd_trainer_close(t);
}

static void a_lock_that_is_refused_fails_the_open(void **state)
{
    (void)state;
    const dd_config config = guarded(DD_REDUCE_TREE);
    dd_trainer *t = open_trainer(&config);
    /* each is protected once when it is made: weights, packed weights, batch, lanes, workspaces and
     * segments */
    const uint32_t n_regions = 5 + t->segments.n;
    dd_trainer_close(t);
    dd_u32_store(&changes_left, n_regions + 1, DD_RELAXED);
    dd_error error;
    assert_int_equal(dd_trainer_open(&config, data, &t, &error), DD_ERR_MEMORY);
    assert_int_equal(dd_u32_load(&changes_left, DD_RELAXED), UINT32_MAX);
    assert_null(t);
}

/* ---- Refusals ---- */

/* Weights, packed weights and batch are protected, then let go: six changes a step, each of which
 * may be refused. The step then did not take place, and the next one is it. */
static void a_refused_change_costs_the_step(void **state)
{
    (void)state;
    for (uint32_t k = 1; k <= 7; k++) {
        const dd_config config = guarded((dd_reduce)(k % 3));
        dd_trainer *t = open_trainer(&config);
        dd_serial *oracle;
        assert_int_equal(dd_serial_open(&config, data, &oracle, NULL), DD_OK);
        for (int i = 0; i < 2; i++) {
            dd_error error;
            dd_step step;
            double loss;
            dd_u32_store(&changes_left, k, DD_RELAXED);
            assert_int_equal(dd_trainer_step(t, NULL, &error), k <= 6 ? DD_ERR_MEMORY : DD_OK);
            dd_u32_store(&changes_left, UINT32_MAX, DD_RELAXED);
            if (k <= 6) {
                assert_non_null(strstr(error.message, "refused"));
                assert_same(t, oracle);
                assert_lives(write_byte, weights_of(t));
                assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_OK);
                assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
                assert_int_equal(step.step, i);
            }
            assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_OK);
            assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
            assert_same(t, oracle);
        }
        dd_serial_close(oracle);
        dd_trainer_close(t);
    }
}

/* The same six changes, in each batch. */
static void a_refused_change_costs_the_validation(void **state)
{
    (void)state;
    for (uint32_t k = 1; k <= 13; k++) {
        const dd_config config = guarded((dd_reduce)(k % 3));
        dd_trainer *t = open_trainer(&config);
        dd_serial *oracle;
        dd_error error;
        double loss = -1, right;
        assert_int_equal(dd_serial_open(&config, data, &oracle, NULL), DD_OK);
        step_ok(t);
        assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
        assert_int_equal(dd_trainer_validate(t, 2, &right, NULL), DD_OK);
        dd_u32_store(&changes_left, k, DD_RELAXED);
        assert_int_equal(dd_trainer_validate(t, 2, &loss, &error), k <= 12 ? DD_ERR_MEMORY : DD_OK);
        dd_u32_store(&changes_left, UINT32_MAX, DD_RELAXED);
        if (k <= 12) {
            assert_string_equal(error.message,
                                "validation before step 1: the system refused to change the "
                                "protection of the weights' or the batch's pages");
            assert_true(loss == -1);
            assert_int_equal(dd_trainer_validate(t, 2, &loss, NULL), DD_OK);
        }
        assert_true(loss == right);
        step_ok(t);
        assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
        assert_same(t, oracle);
        dd_serial_close(oracle);
        dd_trainer_close(t);
    }
}

/* Six for the step, which is not finite, six for the replay that would name the lane. */
static void a_refused_change_costs_the_replay(void **state)
{
    (void)state;
    for (uint32_t k = 7; k <= 13; k++) {
        const dd_config config = guarded((dd_reduce)(k % 3));
        dd_trainer *t = open_trainer(&config);
        dd_error error;
        dd_step step;
        double loss;
        step_ok(t);
        const float before = dd_trainer_weights(t, NULL)[0];
        set_one(t, 0, NAN);
        dd_u32_store(&changes_left, k, DD_RELAXED);
        assert_int_equal(dd_trainer_step(t, &step, &error), DD_ERR_NONFINITE);
        dd_u32_store(&changes_left, UINT32_MAX, DD_RELAXED);
        const char *told = strstr(error.message, "nothing names the lane: replay of step 1: the "
                                                 "system refused");
        assert_int_equal(told != NULL, k <= 12);
        assert_int_equal(step.culprit.tensor == NULL, k <= 12);
        assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_OK); /* and opens them again */
        assert_true(isnan(loss));
        set_one(t, 0, before);
        step_ok(t);
        dd_trainer_close(t);
    }
}

/* As long as the system lets nobody write, everything that would is refused, nothing faults. */
static void a_trainer_that_stays_shut_refuses(void **state)
{
    (void)state;
    const dd_config config = guarded(DD_REDUCE_TREE);
    dd_trainer *t = open_trainer(&config);
    dd_serial *oracle;
    dd_error error;
    double loss;
    assert_int_equal(dd_serial_open(&config, data, &oracle, NULL), DD_OK);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
    dd_u32_store(&changes_left, 0, DD_RELAXED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dd_trainer_step(t, NULL, &error), DD_ERR_MEMORY);
        assert_int_equal(dd_trainer_validate(t, 1, &loss, &error), DD_ERR_MEMORY);
        assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, &error), DD_ERR_MEMORY);
        const float value = 0;
        assert_int_equal(dd_trainer_set_weights(t, 0, 1, &value, &error), DD_ERR_MEMORY);
        assert_non_null(strstr(error.message, "refuses"));
        assert_same(t, oracle);
    }
    dd_u32_store(&changes_left, UINT32_MAX, DD_RELAXED);
    assert_int_equal(dd_trainer_validate(t, 1, &loss, &error), DD_OK); /* and opens it again */
    assert_lives(write_byte, weights_of(t));
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, &error), DD_OK);
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    assert_same(t, oracle); /* step 0 once more */
    dd_serial_close(oracle);
    dd_trainer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_are_known),
        cmocka_unit_test(no_lane_can_write_weights_or_batch),
        cmocka_unit_test(control_data_is_locked_from_open_to_close),
        cmocka_unit_test(a_lock_that_is_refused_fails_the_open),
        cmocka_unit_test(a_refused_change_costs_the_step),
        cmocka_unit_test(a_refused_change_costs_the_validation),
        cmocka_unit_test(a_refused_change_costs_the_replay),
        cmocka_unit_test(a_trainer_that_stays_shut_refuses),
    };
    return cmocka_run_group_tests(tests, open_group, close_data);
}
