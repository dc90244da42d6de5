/* SPDX-License-Identifier: MIT
 * The policy of membership. */
#include "policy.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t dd_policy_wanted(const dd_policy_input *in, uint64_t least_ns)
{
    uint32_t wanted = least(in->cores, in->n_lanes / 2);
    wanted = least(wanted, in->max_workers);
    if (in->lane_ns) {
        /* lane_ns * n_lanes / workers >= least_ns; a median lane takes no 584 years / 2^32 */
        const uint64_t worth = in->lane_ns > UINT64_MAX / (in->n_lanes + 1u)
                                   ? UINT64_MAX
                                   : in->lane_ns * in->n_lanes / least_ns;
        if (worth < wanted)
            wanted = (uint32_t)worth;
    }
    return wanted ? wanted : 1;
}

/* returns  the sphere to expand, DD_NO_SPHERE if all workers are at the deepest level allowed */
static uint32_t highest_worker(const dd_hierarchy *h, uint32_t max_depth)
{
    uint32_t found = DD_NO_SPHERE;
    for (uint32_t w = 0; w < h->n_workers; w++) {
        const uint32_t s = h->worker[w];
        if (found == DD_NO_SPHERE || h->sphere[s].place.level < h->sphere[found].place.level)
            found = s;
    }
    return h->sphere[found].place.level < max_depth ? found : DD_NO_SPHERE;
}

/* returns  the sphere to collapse, DD_NO_SPHERE if the root is the only control */
static uint32_t deepest_control(const dd_hierarchy *h)
{
    for (uint32_t s = h->n_spheres - 1; s > 0; s--) /* level by level: the last is the deepest */
        if (h->sphere[s].n_children)
            return s;
    return DD_NO_SPHERE;
}

dd_change dd_policy_decide(dd_policy *policy, const dd_policy_input *in, const dd_hierarchy *h,
                           dd_place *place, uint32_t *n_children)
{
    const uint32_t wanted = dd_policy_wanted(in, DD_AUTO_LEAST_NS);
    policy->below = h->n_workers < wanted ? policy->below + 1 : 0;
    policy->above =
        h->n_workers > dd_policy_wanted(in, DD_AUTO_LEAST_NS / 2) ? policy->above + 1 : 0;
    if (policy->rest) {
        policy->rest--;
        return DD_CHANGE_NONE;
    }

    dd_change change = DD_CHANGE_NONE;
    uint32_t sphere = DD_NO_SPHERE;
    if (policy->below >= DD_AUTO_PATIENCE) {
        sphere = highest_worker(h, in->max_depth);
        change = DD_CHANGE_EXPAND;
        *n_children = least(wanted - h->n_workers + 1, DD_POSITIONS);
    } else if (policy->above >= DD_AUTO_PATIENCE) {
        sphere = deepest_control(h);
        change = DD_CHANGE_COLLAPSE;
    }
    if (sphere == DD_NO_SPHERE)
        return DD_CHANGE_NONE;
    *place = h->sphere[sphere].place;
    *policy = (dd_policy){.rest = DD_AUTO_REST};
    return change;
}
