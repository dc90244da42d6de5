/* SPDX-License-Identifier: MIT
 * The "time" of a cell in run.json: where the workers' time went, phase by phase, and what every
 * sphere waited for. */
#ifndef DD_TIME_JSON_H
#define DD_TIME_JSON_H

#include <jansson.h>

#include "sweep.h"

/* {"repeat": 0, "steps": 8, "wall_seconds": …, "workers": 2,
 *  "phases": [{"name": "forward products", "by": "workers", "seconds": …, "share": …}, …,
 *             {"name": "wait A", …}, …, {"name": "other", …}],
 *  "spheres": [{"path": "zero", "role": "node-zero", "lanes": 0, "folds": 0,
 *               "wait_ns": {"A": …, "B": …, "V": …, "U": …}}, …]}
 *
 * Of the first repeat that has it. Phases are of `steps` steps that came after its last and count
 * nowhere else; seconds are of all workers together, shares of workers x wall_seconds, and add up
 * to 1. Folds and norms by controls, who do them while workers wait, have share 0. Spheres are of
 * the repeat's own steps; `role` is "worker", "control", "node-zero" or, in the pool, "parked".
 * NULL: no repeat has it. A want of memory makes *ok false.                                      */
json_t *dd_time_json(const dd_sweep_cell *cell, bool *ok);

#endif
