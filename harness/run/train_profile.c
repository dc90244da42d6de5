/* SPDX-License-Identifier: MIT
 * The profile's limits, its table and its JSON. */
#include "train_profile.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "doctor_measure.h"
#include "doctor_team.h"
#include "kernels.h"
#include "peak.h"

dd_status dd_train_profile_open(const dd_config *config, dd_train_profile *out, dd_error *error)
{
    const char *why = "";
    const dd_kernels *kernels = dd_kernels_select(config->simd, &why);
    *out = (dd_train_profile){0};
    if (!kernels) {
        (void)snprintf(error->message, sizeof error->message, "simd: %s", why);
        return DD_ERR_CPU;
    }
    out->kernels = kernels;
    out->copy_bytes = dd_measure_copy();
    if (out->copy_bytes > 0)
        return DD_OK;
    (void)snprintf(error->message, sizeof error->message, "out of memory to measure copying");
    return DD_ERR_MEMORY;
}

void dd_train_profile_look(dd_train_profile *p, const dd_trainer *trainer, uint64_t steps)
{
    p->after = dd_spent_now(trainer);
    p->steps = steps;
    if (steps == 0)
        p->before = p->after;
    if (steps == 1) {
        p->peak_flops = dd_peak_at_work(p->kernels);
        p->second = dd_spent_now(trainer);
    }
    if (steps == 2) { /* without the first step */
        p->before = p->second;
        p->first_step = 1;
    }
}

void dd_train_profile_end(dd_train_profile *p)
{
    dd_topology topology;
    if (dd_topology_open(&topology) != DD_OK)
        return;
    p->peak_together = dd_measure_peak_together(&topology, p->after.workers, p->kernels);
    dd_topology_close(&topology);
}

static uint64_t steps_of(const dd_train_profile *p)
{
    return p->steps - p->first_step;
}

/* The arithmetic of all matrix products, attention's own apart, as a share of what the workers'
 * cores could have done in the time, each at `peak`; NaN where that is not known. */
static double products_share(const dd_spent *s, double peak)
{
    double flops = 0;
    for (uint32_t i = 0; i < s->n_phases; i++)
        if (s->phase[i].flops && strcmp(s->phase[i].name, "attention") != 0)
            flops += (double)s->phase[i].work;
    return peak > 0 ? flops / (1e-9 * (double)s->at_ns * s->workers * peak) : (double)NAN;
}

void dd_train_profile_print(const dd_train_profile *p, FILE *to)
{
    const dd_spent s = dd_spent_between(&p->before, &p->after);
    const uint64_t steps = steps_of(p);
    if (!steps)
        return;
    const double per_step = 1e-6 / (double)steps; /* ns of all steps to ms of one */
    const double whole = (double)s.at_ns * s.workers;
    fprintf(to,
            "\nprofile of %" PRIu64 " step%s, %.3f ms each; times of %u worker%s together, rates "
            "and limits of one\n"
            "limits: FMA peak %.1f GFLOP/s, right after a step; copy %.1f GB/s, read and written "
            "(caches are faster)\n"
            "%-26s %12s %8s %18s %9s\n",
            steps, steps == 1 ? "" : "s", (double)s.at_ns * per_step, s.workers,
            s.workers == 1 ? "" : "s", p->peak_flops * 1e-9, p->copy_bytes * 1e-9, "phase",
            "ms a step", "share", "rate", "of limit");
    for (uint32_t i = 0; i < s.n_phases; i++) {
        const dd_phase_info *phase = &s.phase[i];
        if (!phase->calls)
            continue;
        const double rate = (double)phase->work / (double)phase->ns; /* work per ns: giga */
        const double limit = (phase->flops ? p->peak_flops : p->copy_bytes) * 1e-9;
        fprintf(to, "%-26s %12.3f ", phase->name, (double)phase->ns * per_step);
        if (dd_spent_by_controls(&s, phase))
            fprintf(to, "%8s ", "controls");
        else
            fprintf(to, "%7.2f%% ", 100 * (double)phase->ns / whole);
        fprintf(to, "%10.2f %-7s %8.1f%%\n", rate, phase->flops ? "GFLOP/s" : "GB/s",
                100 * rate / limit);
    }
    for (int point = 0; point < 4; point++)
        fprintf(to, "waiting at %-15s %12.3f %7.2f%%\n", dd_spent_point[point],
                (double)s.wait_ns[point] * per_step, 100 * (double)s.wait_ns[point] / whole);
    fprintf(to, "%-26s %12.3f %7.2f%%\n", "other", dd_spent_other_ns(&s) * per_step,
            100 * dd_spent_other_ns(&s) / whole);
    fprintf(to, "matrix products alone, in the whole step: %.1f%% of %u x the FMA peak of one core",
            100 * products_share(&s, p->peak_flops), s.workers);
    if (p->peak_together > 0)
        fprintf(to, ", %.1f%% of what %u reach together, %.1f GFLOP/s each",
                100 * products_share(&s, p->peak_together), s.workers, p->peak_together * 1e-9);
    fputc('\n', to);
}

json_t *dd_train_profile_json(const dd_train_profile *p)
{
    const dd_spent s = dd_spent_between(&p->before, &p->after);
    const uint64_t steps = steps_of(p);
    json_t *phases = json_array(), *waits = json_object();
    for (uint32_t i = 0; i < s.n_phases; i++) {
        const dd_phase_info *phase = &s.phase[i];
        (void)json_array_append_new(
            phases, json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "name", phase->name, "unit",
                              phase->flops ? "flop" : "byte", "by_controls",
                              (int)dd_spent_by_controls(&s, phase), "ns", (json_int_t)phase->ns,
                              "calls", (json_int_t)phase->calls, "work", (json_int_t)phase->work));
    }
    for (int point = 0; point < 4; point++)
        (void)json_object_set_new(waits, dd_spent_point[point],
                                  json_integer((json_int_t)s.wait_ns[point]));
    /* json_real is NULL for what is not told, which becomes null. */
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:o, s:f, s:f, s:o?}", "steps",
                     (json_int_t)steps, "wall_ns", (json_int_t)s.at_ns, "workers",
                     (json_int_t)s.workers, "peak_flops", p->peak_flops, "peak_flops_together",
                     p->peak_together, "copy_bytes_per_s", p->copy_bytes, "phases", phases,
                     "wait_ns", waits, "other_ns", dd_spent_other_ns(&s), "products_share",
                     products_share(&s, p->peak_flops), "products_share_together",
                     json_real(products_share(&s, p->peak_together)));
}
