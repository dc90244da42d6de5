/* SPDX-License-Identifier: MIT
 * Sums and differences. */
#include "spent.h"

#include <string.h>

#include "platform.h"

const char *const dd_spent_point[4] = {"A", "B", "V", "U"};

/* Those of controls are none of the workers' time: they sleep while lanes run. */
static void add_waits(const dd_trainer *trainer, uint64_t wait_ns[4])
{
    dd_sphere_info sphere;
    for (uint32_t i = 0; dd_trainer_sphere_get(trainer, i, true, &sphere); i++)
        for (int point = 0; point < 4 && !sphere.control; point++)
            wait_ns[point] += sphere.wait_ns[point];
}

dd_spent dd_spent_now(const dd_trainer *trainer)
{
    dd_trainer_info info;
    dd_trainer_info_get(trainer, &info);
    dd_spent now = {.at_ns = dd_now_ns(),
                    .workers = info.workers,
                    .n_changes = info.n_changes,
                    .controls_fold = info.reduce == DD_REDUCE_CONTROL};
    while (now.n_phases < DD_SPENT_PHASES &&
           dd_trainer_phase_get(trainer, now.n_phases, &now.phase[now.n_phases]))
        now.n_phases++;
    add_waits(trainer, now.wait_ns);
    return now;
}

dd_spent dd_spent_between(const dd_spent *before, const dd_spent *after)
{
    dd_spent s = *after;
    for (uint32_t i = 0; i < before->n_phases; i++) {
        s.phase[i].ns -= before->phase[i].ns;
        s.phase[i].calls -= before->phase[i].calls;
        s.phase[i].work -= before->phase[i].work;
    }
    for (int point = 0; point < 4; point++)
        s.wait_ns[point] -= before->wait_ns[point];
    s.at_ns -= before->at_ns;
    return s;
}

bool dd_spent_by_controls(const dd_spent *s, const dd_phase_info *phase)
{
    return s->controls_fold && (!strcmp(phase->name, "fold") || !strcmp(phase->name, "norm"));
}

double dd_spent_other_ns(const dd_spent *s)
{
    double other = (double)s->at_ns * s->workers;
    for (uint32_t i = 0; i < s->n_phases; i++)
        other -= dd_spent_by_controls(s, &s->phase[i]) ? 0 : (double)s->phase[i].ns;
    for (int point = 0; point < 4; point++)
        other -= (double)s->wait_ns[point];
    return other;
}
