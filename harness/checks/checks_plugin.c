/* SPDX-License-Identifier: MIT
 * Checks of what a plug-in promises of itself: that its number of threads, and chance, leave no
 * trace. Comparisons are written so that a NaN fails. */
#include "checks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The same bits, or both NaN: payloads differ between instruction sets. */
static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static size_t n_common(const dd_run *run, const dd_run *other)
{
    return run->n_steps < other->n_steps ? run->n_steps : other->n_steps;
}

/* Whether there is such a run: PASS if so. */
static dd_verdict find(const dd_run *reference, char reason[DD_REASON_MAX])
{
    if (!reference || reference->outcome == DD_RUN_NOT_RUN) {
        snprintf(reason, DD_REASON_MAX, "the reference, one worker, was not run");
        return DD_SKIP;
    }
    if (reference->outcome == DD_RUN_ENDED)
        return DD_PASS;
    snprintf(reason, DD_REASON_MAX, "nothing to compare with; the reference, one worker: %.200s",
             reference->reason);
    return DD_FAIL;
}

/* other: what it is, "with one worker". */
static dd_verdict must_be_same(const dd_run *run, const dd_run *other, const char *whose,
                               char reason[DD_REASON_MAX])
{
    for (size_t i = 0; i < n_common(run, other); i++) {
        const dd_step *a = &run->steps[i], *b = &other->steps[i];
        if (same(a->loss, b->loss) && same(a->norm, b->norm))
            continue;
        snprintf(reason, DD_REASON_MAX,
                 "differs first at step %zu: loss %.17g, norm %.17g; %s %.17g, %.17g", i, a->loss,
                 a->norm, whose, b->loss, b->norm);
        return DD_FAIL;
    }
    if (run->n_steps != other->n_steps) {
        snprintf(reason, DD_REASON_MAX, "%zu steps; %s %zu", run->n_steps, whose, other->n_steps);
        return DD_FAIL;
    }
    if (strcmp(run->end.hash, other->end.hash) != 0) {
        snprintf(reason, DD_REASON_MAX, "weights %s; %s %s; all %zu losses agree", run->end.hash,
                 whose, other->end.hash, run->n_steps);
        return DD_FAIL;
    }
    return DD_PASS;
}

dd_verdict dd_judge_own_equivalence_(const dd_settings *settings, const dd_run *run,
                                     const dd_run *reference, char reason[DD_REASON_MAX])
{
    (void)settings;
    const dd_verdict verdict = find(reference, reason);
    return verdict == DD_PASS ? must_be_same(run, reference, "with one worker", reason) : verdict;
}

dd_verdict dd_judge_repeatable_(const dd_settings *settings, const dd_run *run, const dd_run *first,
                                char reason[DD_REASON_MAX])
{
    (void)settings;
    if (first)
        return must_be_same(run, first, "the first repeat", reason);
    snprintf(reason, DD_REASON_MAX, "the first repeat, beside which others are judged");
    return DD_SKIP;
}

dd_verdict dd_judge_own_tolerance_(const dd_settings *settings, const dd_run *run,
                                   const dd_run *reference, char reason[DD_REASON_MAX])
{
    const double most = settings->tolerance;
    const dd_own_weights *own = &run->end.own;
    const dd_verdict verdict = find(reference, reason);
    double worst = 0;
    if (verdict != DD_PASS)
        return verdict;
    for (size_t i = 0; i < n_common(run, reference); i++) {
        const double a = run->steps[i].loss, b = reference->steps[i].loss;
        const double distance = a == b ? 0 : fabs(a - b) / fabs(b);
        if (!(distance <= most)) {
            snprintf(
                reason, DD_REASON_MAX,
                "too far first at step %zu: loss %.9g, with one worker %.9g: %.2g of it apart, "
                "%g are allowed",
                i, a, b, distance, most);
            return DD_FAIL;
        }
        worst = fmax(worst, distance);
    }
    if (run->n_steps != reference->n_steps || !run->n_steps) {
        snprintf(reason, DD_REASON_MAX, "%zu steps; with one worker %zu", run->n_steps,
                 reference->n_steps);
        return DD_FAIL;
    }
    if (!own->compared || own->unlike[0]) {
        snprintf(reason, DD_REASON_MAX, "%s",
                 own->compared ? own->unlike : "the weights were compared with nothing");
        return DD_FAIL;
    }
    if (!(own->distance <= most)) {
        snprintf(
            reason, DD_REASON_MAX,
            "too far: weight %s is %.2g apart from that with one worker, %g are allowed; losses "
            "agree within %.2g",
            own->farthest, own->distance, most, worst);
        return DD_FAIL;
    }
    snprintf(reason, DD_REASON_MAX,
             "losses within %.1e, %" PRIu64 " weights within %.1e of those with one worker", worst,
             own->n, own->distance);
    return DD_PASS;
}
