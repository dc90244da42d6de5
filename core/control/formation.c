/* SPDX-License-Identifier: MIT
 * Formations: made whole before anybody hears of them, so that a failure leaves the old one. */
#include <assert.h>

#include "inside.h"

/* Gives every sphere a thread: its own if it was there before, else the lowest that is free. */
static void assign_threads(const dd_team *team, dd_formation *f, const dd_formation *before)
{
    const dd_hierarchy *h = f->hierarchy;
    for (uint32_t t = 0; t < team->n_slots; t++)
        f->sphere_of[t] = DD_NO_SPHERE;
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        uint32_t was =
            before ? dd_hierarchy_at(before->hierarchy, h->sphere[s].place) : DD_NO_SPHERE;
        f->joins[s] = was == DD_NO_SPHERE;
        if (f->joins[s])
            continue;
        f->thread[s] = before->thread[was];
        f->sphere_of[f->thread[s]] = s;
    }
    uint32_t next = 0;
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        if (f->joins[s]) {
            while (f->sphere_of[next] != DD_NO_SPHERE)
                next++;
            assert(next < team->n_slots);
            f->thread[s] = next;
            f->sphere_of[next] = s;
        }
        if (f->thread[s] >= f->n_threads)
            f->n_threads = f->thread[s] + 1;
    }
}

/* At V workers wait for each other, and for Node Zero unless the last of them acts for it. At A
 * they wait for Node Zero and its caller: they poll only if it has a core beside theirs. */
static void choose_spins(const dd_team *team, dd_formation *f)
{
    const uint32_t n_workers = f->hierarchy->n_workers, cores = team->options.cores;
    f->spins_v = dd_points_spins(n_workers + !team->climb, cores);
    f->spins_a = n_workers < cores ? dd_points_spins(n_workers + 1, cores) : 0;
}

dd_status dd_formation_open_(const dd_team *team, dd_hierarchy *hierarchy, const uint32_t *speed,
                             const dd_formation *before, dd_formation **out)
{
    const dd_team_options *options = &team->options;
    const uint32_t n_workers = hierarchy->n_workers, n_spheres = hierarchy->n_spheres;
    dd_formation *f = dd_alloc(sizeof *f);
    if (!f)
        return DD_ERR_MEMORY;
    f->hierarchy = hierarchy;
    f->share = dd_alloc(n_workers * sizeof *f->share);
    f->thread = dd_alloc(n_spheres * sizeof *f->thread);
    f->joins = dd_alloc(n_spheres * sizeof *f->joins);
    f->sphere_of = dd_alloc(team->n_slots * sizeof *f->sphere_of);
    f->slice_ns = dd_alloc(n_workers * sizeof *f->slice_ns);
    dd_status st = DD_ERR_MEMORY;
    if (!f->slice_ns || !f->share || !f->thread || !f->joins || !f->sphere_of)
        goto fail;
    if ((st = dd_placement(team->weight, team->lane_depth, n_workers, speed, f->share)))
        goto fail;
    if ((st = dd_plan_open(team->weight, team->lane_depth, hierarchy, f->share,
                           dd_reduce_plan(options->reduce, options->stealing), &f->plan)))
        goto fail;
    if ((st = dd_points_open(options->barrier, hierarchy, options->generation, &f->points)))
        goto fail;
    if ((st = dd_combine_open(f->plan, options->reduce, &f->combine)))
        goto fail;
    if (options->stealing && (st = dd_queues_open(f->plan, hierarchy, &f->queues)))
        goto fail;
    if ((st = dd_slices_open(&f->slices, n_workers, options->n_blocks)))
        goto fail;
    for (uint32_t w = 0; options->stealing && w < n_workers; w++)
        dd_queues_fill(f->queues, w);
    assign_threads(team, f, before);
    choose_spins(team, f);
    *out = f;
    return DD_OK;

fail:
    dd_formation_close_(f);
    return st;
}

void dd_formation_close_(dd_formation *f)
{
    if (!f)
        return;
    dd_slices_close(&f->slices);
    dd_queues_close(f->queues);
    dd_combine_close(f->combine);
    dd_points_close(f->points);
    dd_plan_close(f->plan);
    dd_free(f->slice_ns);
    dd_free(f->sphere_of);
    dd_free(f->joins);
    dd_free(f->thread);
    dd_free(f->share);
    dd_free(f);
}
