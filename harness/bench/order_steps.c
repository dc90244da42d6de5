/* SPDX-License-Identifier: MIT
 * Whole steps in a fixed and in a free order: dodeca, whose gradients meet in one tree, and the
 * trainer that adds them in order of arrival under one lock, with the same kernels, lanes and
 * update. Both are open at once and take turns; who does not step sleeps. */
#include <stdio.h>

#include "order_bench.h"
#include "subject.h"

typedef struct side {
    const dd_subject_api *subject;
    void *self; /* NULL: not open */
} side;

static bool open_side(side *s, const dd_settings *settings, dd_data *data, dd_error *error)
{
    s->subject = dd_subject_get(settings->subject, DD_PLANT_NONE);
    return s->subject->open(&settings->config, data, &s->self, error) == DD_OK;
}

static void close_side(side *s)
{
    if (s->self)
        s->subject->close(s->self);
}

/* Nanoseconds of a step, the mean of n; 0: it failed. */
static double time_steps(const side *s, uint32_t n, dd_error *error)
{
    double ns = 0;
    for (uint32_t i = 0; i < n; i++) {
        dd_step step;
        if (s->subject->step(s->self, &step, error) != DD_OK)
            return 0;
        ns += (double)step.wall_ns;
    }
    return ns / n;
}

typedef struct training {
    const char *model, *batch, *seq, *workers;
    uint32_t steps; /* in a turn */
} training;

static bool set_all(dd_settings *s, const training *x, const char *reduce,
                    char message[DD_MESSAGE_MAX])
{
    const char *const keys[][2] = {
        {"data", "builtin"}, {"model", x->model},     {"batch", x->batch}, {"seq", x->seq},
        {"steps", "1000"},   {"workers", x->workers}, {"reduce", reduce}};
    dd_settings_default(s);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!dd_settings_set(s, keys[i][0], keys[i][1], message))
            return false;
    return dd_settings_finish(s, message);
}

/* returns  false: it could not be measured; error says why */
static bool measure(const dd_order_table *t, const training *x, const char *reduce, double *fixed,
                    double *loose, dd_error *error)
{
    dd_settings own, other;
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX];
    dd_data *data = NULL;
    side ordered = {0}, free_order = {0};
    bool ok =
        set_all(&own, x, reduce, error->message) && set_all(&other, x, "tree", error->message);
    other.subject = DD_SUBJECT_LOCKS_GRADIENT;
    ok = ok && dd_settings_open_data(&own, &data, used, note, error) == DD_OK &&
         open_side(&ordered, &own, data, error) && open_side(&free_order, &other, data, error) &&
         time_steps(&ordered, 1, error) > 0 && time_steps(&free_order, 1, error) > 0;
    for (uint32_t r = 0; ok && r < t->o->rounds; r++) {
        fixed[r] = time_steps(&ordered, x->steps, error);
        loose[r] = time_steps(&free_order, x->steps, error);
        ok = fixed[r] > 0 && loose[r] > 0;
    }
    close_side(&ordered);
    close_side(&free_order);
    dd_data_close(data);
    return ok;
}

bool dd_order_steps_(dd_order_table *t)
{
    static const training trainings[] = {{"nano", "12", "16", "2", 100},
                                         {"nano", "12", "64", "2", 40},
                                         {"micro", "8", "128", "2", 5},
                                         {"gpt2-124M", "4", "64", "2", 1}};
    static const char *const reduces[] = {"owner", "tree", "sliced"};
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++)
        for (size_t k = 0; k < sizeof reduces / sizeof *reduces; k++) {
            const training *x = &trainings[i];
            double fixed[DD_ROUNDS_MAX], loose[DD_ROUNDS_MAX];
            char what[96], fixed_as[64];
            dd_error error = {{0}};
            (void)snprintf(what, sizeof what, "step of %s B %s T %s, %s workers", x->model,
                           x->batch, x->seq, x->workers);
            (void)snprintf(fixed_as, sizeof fixed_as, "dodeca, reduce %s", reduces[k]);
            if (!dd_order_wanted(t, what))
                continue;
            if (!measure(t, x, reduces[k], fixed, loose, &error)) {
                fprintf(stderr, "dodeca bench: SKIP %s: %s\n", what, error.message);
                continue;
            }
            if (!dd_order_add(t, what, fixed_as, "by arrival, one lock", fixed, loose))
                return false;
        }
    return true;
}
