/* SPDX-License-Identifier: MIT
 * The subjects behind their one interface: dodeca is the oracle bit for bit; the lock-based
 * baselines are near it, with one worker and with many, in every step and at the end; what they
 * refuse they refuse without leaving anything. */
#include "checks.h"
#include "subject.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 40

static dd_data *data;

/* ---- Allocations and threads that fail on demand (linked with --wrap) ---- */

static atomic_int fail_alloc = -1,
                  fail_thread = -1; /* how many succeed before one fails; -1: all */
static atomic_int n_live;           /* blocks from dd_alloc */

void *__real_dd_alloc(size_t bytes);
void __real_dd_free(void *p);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
void *__wrap_dd_alloc(size_t bytes);
void __wrap_dd_free(void *p);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

void *__wrap_dd_alloc(size_t bytes)
{
    if (fail_alloc >= 0 && fail_alloc-- == 0)
        return NULL;
    void *p = __real_dd_alloc(bytes);
    n_live += p != NULL;
    return p;
}

void __wrap_dd_free(void *p)
{
    n_live -= p != NULL;
    __real_dd_free(p);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    if (fail_thread >= 0 && fail_thread-- == 0)
        return EAGAIN;
    return __real_pthread_create(thread, attr, run, arg);
}

/* ---- Runs ---- */

static int open_data(void **state)
{
    (void)state;
    return dd_data_open("builtin", 1, &data, NULL) != DD_OK;
}

static int close_data(void **state)
{
    (void)state;
    dd_data_close(data);
    return 0;
}

static dd_config small_config(uint32_t workers)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = (dd_shape){.L = 2, .NH = 2, .C = 32, .V = 64, .T_max = 16};
    c.horizon = STEPS;
    c.warmup = 2;
    c.lr = 0.01;
    c.workers = workers;
    c.allow_idle = true;
    return c;
}

/* A run from its start to its end. */
typedef struct course {
    dd_step step[STEPS];
    dd_trainer_info info;
    uint64_t lanes; /* sum over threads */
    uint32_t n_threads;
    float *weights; /* (n) owned */
    uint64_t n;
} course;

static void run_course(const dd_subject_api *subject, const dd_config *config, course *out)
{
    void *self = NULL;
    dd_error error = {{0}};
    *out = (course){.n = 0};
    if (subject->open(config, data, &self, &error) != DD_OK)
        fail_msg("%s: %s", subject->name, error.message);
    uint64_t beat = subject->heartbeat ? subject->heartbeat(self) : 0;
    for (unsigned i = 0; i < STEPS; i++)
        if (subject->step(self, &out->step[i], &error) != DD_OK)
            fail_msg("%s, step %u: %s", subject->name, i, error.message);
    if (subject->heartbeat)
        assert_true(subject->heartbeat(self) > beat);
    subject->describe(self, &out->info);
    dd_sphere_info sphere;
    for (; subject->thread && subject->thread(self, out->n_threads, true, &sphere);
         out->n_threads++)
        out->lanes += sphere.lanes_done;
    const float *weights = subject->weights(self, &out->n);
    out->weights = malloc(out->n * sizeof *out->weights);
    assert_non_null(out->weights);
    memcpy(out->weights, weights, out->n * sizeof *out->weights);
    subject->close(self);
}

/* As close-to-serial demands it of every step; and at the end no weight may be far off. */
static void must_be_close(const course *a, const course *oracle, const char *what)
{
    for (unsigned i = 0; i < STEPS; i++) {
        const dd_step *x = &a->step[i], *y = &oracle->step[i];
        assert_int_equal(x->step, i);
        assert_true(x->lr == y->lr && !x->discarded);
        if (!(fabs(x->loss - y->loss) <= DD_CLOSE_LOSS * y->loss) ||
            !(fabs(x->norm - y->norm) <= DD_CLOSE_NORM * y->norm))
            fail_msg("%s, step %u: loss %.9g, norm %.9g; the oracle's %.9g, %.9g", what, i, x->loss,
                     x->norm, y->loss, y->norm);
    }
    /* Adam's step does not depend on the gradient's size: where that is near 0, rounding turns it.
     */
    double sum = 0, sum_oracle = 0;
    assert_int_equal(a->n, oracle->n);
    for (uint64_t e = 0; e < a->n; e++) {
        double d = (double)a->weights[e] - (double)oracle->weights[e];
        sum += d * d;
        sum_oracle += (double)oracle->weights[e] * (double)oracle->weights[e];
    }
    if (!(sqrt(sum) <= 1e-3 * sqrt(sum_oracle)))
        fail_msg("%s: weights %g off, of %g", what, sqrt(sum), sqrt(sum_oracle));
    assert_true(a->step[STEPS - 1].loss < 0.8 * a->step[0].loss);
}

static void test_one_interface(void **state)
{
    (void)state;
    dd_config config = small_config(3);
    course oracle, dodeca;
    run_course(dd_subject_get(DD_SUBJECT_ORACLE, DD_PLANT_NONE), &config, &oracle);
    run_course(dd_subject_get(DD_SUBJECT_DODECA, DD_PLANT_NONE), &config, &dodeca);
    for (unsigned i = 0; i < STEPS; i++)
        assert_true(dodeca.step[i].loss == oracle.step[i].loss &&
                    dodeca.step[i].norm == oracle.step[i].norm);
    assert_int_equal(dodeca.n, oracle.n);
    assert_memory_equal(dodeca.weights, oracle.weights, oracle.n * sizeof(float));
    assert_int_equal(oracle.n_threads, 0);
    assert_int_equal(dodeca.lanes, STEPS * 12);
    free(oracle.weights);
    free(dodeca.weights);
}

static void test_locks(void **state)
{
    (void)state;
    static const dd_subject subjects[] = {DD_SUBJECT_LOCKS, DD_SUBJECT_LOCKS_GRADIENT};
    static const struct {
        uint32_t workers, batch, lane_depth;
        dd_simd simd;
    } cases[] = {{1, 12, 1, DD_SIMD_AUTO}, {2, 12, 1, DD_SIMD_AUTO},  {2, 12, 1, DD_SIMD_OFF},
                 {5, 10, 1, DD_SIMD_AUTO}, {12, 12, 1, DD_SIMD_AUTO}, {12, 7, 1, DD_SIMD_AUTO},
                 {4, 20, 2, DD_SIMD_AUTO}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        dd_config config = small_config(cases[k].workers);
        config.batch = cases[k].batch;
        config.lane_depth = cases[k].lane_depth;
        config.simd = cases[k].simd;
        course oracle;
        run_course(dd_subject_get(DD_SUBJECT_ORACLE, DD_PLANT_NONE), &config, &oracle);
        for (size_t s = 0; s < sizeof subjects / sizeof *subjects; s++) {
            const dd_subject_api *subject = dd_subject_get(subjects[s], DD_PLANT_NONE);
            char what[96];
            snprintf(what, sizeof what, "%s, %u workers, batch %u, lane depth %u", subject->name,
                     config.workers, config.batch, config.lane_depth);
            course locks;
            run_course(subject, &config, &locks);
            must_be_close(&locks, &oracle, what);
            uint64_t lanes = cases[k].batch < 12 || cases[k].lane_depth == 2 ? cases[k].batch : 12;
            assert_int_equal(locks.info.non_empty_lanes, lanes);
            assert_int_equal(locks.lanes, STEPS * lanes);
            assert_int_equal(locks.info.lanes_done, STEPS * lanes);
            assert_int_equal(locks.info.requests, STEPS);
            assert_int_equal(locks.n_threads, config.workers);
            free(locks.weights);
        }
        free(oracle.weights);
    }
}

/* A step that is not finite changes nothing, and is told as the trainer tells it. */
static void test_not_finite(void **state)
{
    (void)state;
    for (dd_subject s = DD_SUBJECT_LOCKS; s <= DD_SUBJECT_LOCKS_GRADIENT; s++) {
        for (int skip = 0; skip < 2; skip++) {
            const dd_subject_api *subject = dd_subject_get(s, DD_PLANT_NONE);
            dd_config config = small_config(2);
            config.nan_policy = skip ? DD_NAN_SKIP_STEP : DD_NAN_ABORT;
            config.lr = 1e20;
            config.warmup = 0;
            void *self = NULL;
            dd_step step;
            dd_error error = {{0}};
            dd_status st = DD_OK;
            assert_int_equal(subject->open(&config, data, &self, &error), DD_OK);
            uint64_t n, i = 0;
            float before = 0;
            do {
                before = subject->weights(self, &n)[0];
                st = subject->step(self, &step, &error);
            } while (++i < STEPS && !step.discarded);
            assert_true(step.discarded);
            assert_int_equal(st, skip ? DD_OK : DD_ERR_NONFINITE);
            assert_non_null(strstr(error.message, "loss "));
            assert_true(subject->weights(self, &n)[0] == before);
            subject->close(self);
        }
    }
}

/* Whatever fails at opening, its reason is given and nothing is left. */
static void test_refusals(void **state)
{
    (void)state;
    for (dd_subject s = DD_SUBJECT_LOCKS; s <= DD_SUBJECT_LOCKS_GRADIENT; s++) {
        const dd_subject_api *subject = dd_subject_get(s, DD_PLANT_NONE);
        dd_config config = small_config(13);
        void *self = NULL;
        dd_error error = {{0}};
        dd_status st = DD_ERR_MEMORY;
        int before = n_live, k = 0;
        assert_int_equal(subject->open(&config, data, &self, &error), DD_ERR_ARGUMENT);
        assert_non_null(strstr(error.message, "workers 13"));
        config = small_config(3);
        for (; k < 200 && st == DD_ERR_MEMORY; k++) { /* the first, the second, … allocation */
            fail_alloc = k;
            st = subject->open(&config, data, &self, &error);
            fail_alloc = -1;
            if (st != DD_OK)
                assert_true(!self && n_live == before);
        }
        assert_int_equal(st, DD_OK);
        assert_true(k > 10);
        subject->close(self);
        assert_int_equal(n_live, before);
        for (fail_thread = k = 0; k < 3; fail_thread = ++k) {
            self = NULL;
            assert_int_equal(subject->open(&config, data, &self, &error), DD_ERR_THREAD);
            assert_non_null(strstr(error.message, "cannot create 3 threads"));
            assert_true(!self && n_live == before);
        }
        fail_thread = -1;
        subject->close(NULL);
    }
}

/* Opened and closed without a step, and with as many workers as the machine suggests. */
static void test_lifecycle(void **state)
{
    (void)state;
    for (dd_subject s = DD_SUBJECT_LOCKS; s <= DD_SUBJECT_LOCKS_GRADIENT; s++) {
        const dd_subject_api *subject = dd_subject_get(s, DD_PLANT_NONE);
        dd_config config = small_config(0);
        for (int i = 0; i < 50; i++) {
            void *self = NULL;
            dd_trainer_info info;
            assert_int_equal(subject->open(&config, data, &self, NULL), DD_OK);
            subject->describe(self, &info);
            assert_in_range(info.workers, 1, 12);
            subject->close(self);
        }
    }
}

/* The planted trainer is dodeca up to its stray write, which is a race that tools would report
 * here: guard.yaml goes further. */
static void test_planted(void **state)
{
    (void)state;
    const dd_subject_api *both[] = {dd_subject_get(DD_SUBJECT_DODECA, DD_PLANT_STRAY_WRITE),
                                    dd_subject_get(DD_SUBJECT_DODECA, DD_PLANT_NONE)};
    dd_config config = small_config(2);
    double loss[2] = {0};
    config.guard = true;
    assert_true(both[0]->open != both[1]->open);
    for (int k = 0; k < 2; k++) {
        void *self = NULL;
        dd_step step = {0};
        assert_int_equal(both[k]->open(&config, data, &self, NULL), DD_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(both[k]->step(self, &step, NULL), DD_OK);
        loss[k] = step.loss;
        both[k]->close(self);
    }
    assert_true(loss[0] == loss[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_interface), cmocka_unit_test(test_locks),
        cmocka_unit_test(test_not_finite),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lifecycle),     cmocka_unit_test(test_planted),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
