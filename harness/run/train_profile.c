/* SPDX-License-Identifier: MIT
 * The profile's limits, its table and its JSON. */
#include "train_profile.h"

#include <inttypes.h>
#include <string.h>

#include "doctor_measure.h"
#include "kernels.h"
#include "peak.h"
#include "platform.h"

dd_status dd_train_profile_open(const dd_config *config, dd_train_profile *out, dd_error *error)
{
    const char *why = "";
    const dd_kernels *kernels = dd_kernels_select(config->simd, &why);
    *out = (dd_train_profile){.controls_fold = config->reduce == DD_REDUCE_CONTROL};
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

/* Those of controls are none of the workers' time: they sleep while lanes run. */
static void add_waits(const dd_trainer *trainer, uint64_t wait_ns[4])
{
    dd_sphere_info sphere;
    for (uint32_t i = 0; dd_trainer_sphere_get(trainer, i, true, &sphere); i++)
        for (int point = 0; point < 4 && !sphere.control; point++)
            wait_ns[point] += sphere.wait_ns[point];
}

static dd_spent spent_so_far(const dd_trainer *trainer, uint64_t steps)
{
    dd_spent now = {.steps = steps, .at_ns = dd_now_ns()};
    while (now.n_phases < DD_PROFILE_ROOM &&
           dd_trainer_phase_get(trainer, now.n_phases, &now.phase[now.n_phases]))
        now.n_phases++;
    add_waits(trainer, now.wait_ns);
    return now;
}

void dd_train_profile_look(dd_train_profile *p, const dd_trainer *trainer, uint64_t steps)
{
    p->after = spent_so_far(trainer, steps);
    dd_trainer_info info;
    dd_trainer_info_get(trainer, &info);
    p->workers = info.workers;
    if (steps == 0)
        p->before = p->after;
    if (steps == 1) {
        p->peak_flops = dd_peak_at_work(p->kernels);
        p->second = spent_so_far(trainer, steps);
    }
    if (steps == 2)
        p->before = p->second; /* without the first step */
}

/* From the first moment to the last; at_ns is the time between them. */
static dd_spent spent(const dd_train_profile *p)
{
    dd_spent s = p->after;
    for (uint32_t i = 0; i < p->before.n_phases; i++) {
        s.phase[i].ns -= p->before.phase[i].ns;
        s.phase[i].calls -= p->before.phase[i].calls;
        s.phase[i].work -= p->before.phase[i].work;
    }
    for (int point = 0; point < 4; point++)
        s.wait_ns[point] -= p->before.wait_ns[point];
    s.steps -= p->before.steps;
    s.at_ns -= p->before.at_ns;
    return s;
}

static bool by_controls(const dd_train_profile *p, const dd_phase_info *phase)
{
    return p->controls_fold && (!strcmp(phase->name, "fold") || !strcmp(phase->name, "norm"));
}

/* What neither a phase nor a wait accounts for; it may come out below 0 by what clocks are off. */
static double other_ns(const dd_train_profile *p, const dd_spent *s)
{
    double other = (double)s->at_ns * p->workers;
    for (uint32_t i = 0; i < s->n_phases; i++)
        other -= by_controls(p, &s->phase[i]) ? 0 : (double)s->phase[i].ns;
    for (int point = 0; point < 4; point++)
        other -= (double)s->wait_ns[point];
    return other;
}

/* The arithmetic of all matrix products, attention's own apart, as a share of what the workers'
 * cores could have done in the time. */
static double products_share(const dd_train_profile *p, const dd_spent *s)
{
    double flops = 0;
    for (uint32_t i = 0; i < s->n_phases; i++)
        if (s->phase[i].flops && strcmp(s->phase[i].name, "attention") != 0)
            flops += (double)s->phase[i].work;
    return flops / (1e-9 * (double)s->at_ns * p->workers * p->peak_flops);
}

static const char *const points[] = {"A", "B", "V", "U"};

void dd_train_profile_print(const dd_train_profile *p, FILE *to)
{
    const dd_spent s = spent(p);
    if (!s.steps)
        return;
    const double per_step = 1e-6 / (double)s.steps; /* ns of all steps to ms of one */
    const double whole = (double)s.at_ns * p->workers;
    fprintf(to,
            "\nprofile of %" PRIu64 " step%s, %.3f ms each; times of %u worker%s together, rates "
            "and limits of one\n"
            "limits: FMA peak %.1f GFLOP/s, right after a step; copy %.1f GB/s, read and written "
            "(caches are faster)\n"
            "%-26s %12s %8s %18s %9s\n",
            s.steps, s.steps == 1 ? "" : "s", (double)s.at_ns * per_step, p->workers,
            p->workers == 1 ? "" : "s", p->peak_flops * 1e-9, p->copy_bytes * 1e-9, "phase",
            "ms a step", "share", "rate", "of limit");
    for (uint32_t i = 0; i < s.n_phases; i++) {
        const dd_phase_info *phase = &s.phase[i];
        if (!phase->calls)
            continue;
        const double rate = (double)phase->work / (double)phase->ns; /* work per ns: giga */
        const double limit = (phase->flops ? p->peak_flops : p->copy_bytes) * 1e-9;
        fprintf(to, "%-26s %12.3f ", phase->name, (double)phase->ns * per_step);
        if (by_controls(p, phase))
            fprintf(to, "%8s ", "controls");
        else
            fprintf(to, "%7.2f%% ", 100 * (double)phase->ns / whole);
        fprintf(to, "%10.2f %-7s %8.1f%%\n", rate, phase->flops ? "GFLOP/s" : "GB/s",
                100 * rate / limit);
    }
    for (int point = 0; point < 4; point++)
        fprintf(to, "waiting at %-15s %12.3f %7.2f%%\n", points[point],
                (double)s.wait_ns[point] * per_step, 100 * (double)s.wait_ns[point] / whole);
    fprintf(to, "%-26s %12.3f %7.2f%%\n", "other", other_ns(p, &s) * per_step,
            100 * other_ns(p, &s) / whole);
    fprintf(to, "matrix products alone, in the whole step: %.1f%% of the FMA peak of %u core%s\n",
            100 * products_share(p, &s), p->workers, p->workers == 1 ? "" : "s");
}

json_t *dd_train_profile_json(const dd_train_profile *p)
{
    const dd_spent s = spent(p);
    json_t *phases = json_array(), *waits = json_object();
    for (uint32_t i = 0; i < s.n_phases; i++) {
        const dd_phase_info *phase = &s.phase[i];
        (void)json_array_append_new(
            phases, json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "name", phase->name, "unit",
                              phase->flops ? "flop" : "byte", "by_controls",
                              (int)by_controls(p, phase), "ns", (json_int_t)phase->ns, "calls",
                              (json_int_t)phase->calls, "work", (json_int_t)phase->work));
    }
    for (int point = 0; point < 4; point++)
        (void)json_object_set_new(waits, points[point], json_integer((json_int_t)s.wait_ns[point]));
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:f, s:f}", "steps", (json_int_t)s.steps,
                     "wall_ns", (json_int_t)s.at_ns, "workers", (json_int_t)p->workers,
                     "peak_flops", p->peak_flops, "copy_bytes_per_s", p->copy_bytes, "phases",
                     phases, "wait_ns", waits, "other_ns", other_ns(p, &s), "products_share",
                     products_share(p, &s));
}
