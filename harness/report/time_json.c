/* SPDX-License-Identifier: MIT
 * The "time" of a cell. */
#include "time_json.h"

#include <stdio.h>

#include "report_json.h"

static void add_phase(json_t *phases, const char *name, bool by_controls, double ns, double whole,
                      bool *ok)
{
    json_t *o = json_object();
    dd_json_put(o, "name", dd_json_text(name), ok);
    dd_json_put(o, "by", dd_json_text(by_controls ? "controls" : "workers"), ok);
    dd_json_put(o, "seconds", json_real(ns * 1e-9), ok);
    dd_json_put(o, "share", json_real(by_controls || !(whole > 0) ? 0 : ns / whole), ok);
    dd_json_append(phases, o, ok);
}

static json_t *phases_json(const dd_spent *s, bool *ok)
{
    json_t *phases = json_array();
    const double whole = (double)s->at_ns * s->workers;
    for (uint32_t i = 0; i < s->n_phases; i++)
        if (s->phase[i].ns)
            add_phase(phases, s->phase[i].name, dd_spent_by_controls(s, &s->phase[i]),
                      (double)s->phase[i].ns, whole, ok);
    for (int point = 0; point < 4; point++) {
        char name[16];
        snprintf(name, sizeof name, "wait %s", dd_spent_point[point]);
        add_phase(phases, name, false, (double)s->wait_ns[point], whole, ok);
    }
    add_phase(phases, "other", false, dd_spent_other_ns(s), whole, ok);
    return phases;
}

static json_t *sphere_json(const dd_sphere_info *s, bool *ok)
{
    json_t *o = json_object(), *wait = json_object();
    const char *role = s->thread == 0 ? "node-zero"
                       : s->parked    ? "parked"
                       : s->control   ? "control"
                                      : "worker";
    dd_json_put(o, "path", dd_json_text(s->sphere), ok);
    dd_json_put(o, "role", dd_json_text(role), ok);
    dd_json_put(o, "lanes", dd_json_whole(s->lanes_done), ok);
    dd_json_put(o, "folds", dd_json_whole(s->folds), ok);
    for (int point = 0; point < 4; point++)
        dd_json_put(wait, dd_spent_point[point], dd_json_whole(s->wait_ns[point]), ok);
    dd_json_put(o, "wait_ns", wait, ok);
    return o;
}

json_t *dd_time_json(const dd_sweep_cell *cell, bool *ok)
{
    uint32_t r = 0;
    while (r < cell->n_repeats &&
           !(cell->repeats[r].run.outcome == DD_RUN_ENDED && cell->repeats[r].run.end.time_steps))
        r++;
    if (r == cell->n_repeats)
        return NULL;
    const dd_run_end *end = &cell->repeats[r].run.end;
    json_t *o = json_object(), *spheres = json_array();
    dd_json_put(o, "repeat", dd_json_whole(r), ok);
    dd_json_put(o, "steps", dd_json_whole(end->time_steps), ok);
    dd_json_put(o, "wall_seconds", json_real((double)end->time.at_ns * 1e-9), ok);
    dd_json_put(o, "workers", dd_json_whole(end->time.workers), ok);
    dd_json_put(o, "phases", phases_json(&end->time, ok), ok);
    for (uint32_t i = 0; i < end->info.n_threads; i++)
        dd_json_append(spheres, sphere_json(&end->sphere[i], ok), ok);
    dd_json_put(o, "spheres", spheres, ok);
    return o;
}
