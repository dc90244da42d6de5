/* SPDX-License-Identifier: MIT
 * Checks of what was trained. Comparisons are written so that a NaN fails. */
#include "checks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

dd_verdict dd_judge_finite_(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                            char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    if (run->end.status != DD_OK) {
        snprintf(reason, DD_REASON_MAX, "%s: %.220s", dd_status_name(run->end.status),
                 run->end.message);
        return DD_FAIL;
    }
    for (size_t i = 0; i < run->n_steps; i++) {
        const dd_step *step = &run->steps[i];
        if (!isfinite(step->loss) || !isfinite(step->norm) || step->discarded) {
            snprintf(reason, DD_REASON_MAX, "step %zu: loss %g, norm %g%s", i,
                     isnan(step->loss) ? (double)NAN : step->loss, /* its sign means nothing */
                     isnan(step->norm) ? (double)NAN : step->norm,
                     step->discarded ? ", discarded" : "");
            return DD_FAIL;
        }
    }
    const dd_own_weights *own = &run->end.own;
    if (!own->n_not_finite)
        return DD_PASS;
    snprintf(reason, DD_REASON_MAX,
             "%" PRIu64 " of the %" PRIu64 " final weights are not finite, %s the first of them",
             own->n_not_finite, own->n, own->not_finite);
    return DD_FAIL;
}

/* The same bits, or both NaN: payloads differ between instruction sets. */
static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Whether there is an oracle's run to compare with: PASS if so. */
static dd_verdict find_answer(const dd_run *oracle, char reason[DD_REASON_MAX])
{
    if (!oracle || oracle->outcome == DD_RUN_NOT_RUN) {
        snprintf(reason, DD_REASON_MAX, "the oracle was not run");
        return DD_SKIP;
    }
    if (oracle->outcome == DD_RUN_ENDED)
        return DD_PASS;
    snprintf(reason, DD_REASON_MAX, "no answer to compare with; the oracle: %.200s",
             oracle->reason);
    return DD_FAIL;
}

/* Whether both ended after the same step and in the same way: PASS if so. */
static dd_verdict compare_ends(const dd_run *run, const dd_run *oracle, char reason[DD_REASON_MAX])
{
    if (run->n_steps == oracle->n_steps && run->end.status == oracle->end.status)
        return DD_PASS;
    snprintf(reason, DD_REASON_MAX, "ended after %zu steps (%s), the oracle after %zu (%s)",
             run->n_steps, dd_status_name(run->end.status), oracle->n_steps,
             dd_status_name(oracle->end.status));
    return DD_FAIL;
}

static size_t n_common(const dd_run *run, const dd_run *oracle)
{
    return run->n_steps < oracle->n_steps ? run->n_steps : oracle->n_steps;
}

dd_verdict dd_judge_serial_(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                            char reason[DD_REASON_MAX])
{
    (void)settings;
    dd_verdict verdict = find_answer(oracle, reason);
    if (verdict != DD_PASS)
        return verdict;
    for (size_t i = 0; i < n_common(run, oracle); i++) {
        const dd_step *a = &run->steps[i], *b = &oracle->steps[i];
        if (same(a->loss, b->loss) && same(a->norm, b->norm) && a->discarded == b->discarded)
            continue;
        snprintf(reason, DD_REASON_MAX,
                 "differs first at step %zu: loss %.17g, norm %.17g%s; the oracle's %.17g, %.17g%s",
                 i, a->loss, a->norm, a->discarded ? " (discarded)" : "", b->loss, b->norm,
                 b->discarded ? " (discarded)" : "");
        return DD_FAIL;
    }
    verdict = compare_ends(run, oracle, reason);
    if (verdict == DD_PASS && strcmp(run->end.hash, oracle->end.hash) != 0) {
        snprintf(reason, DD_REASON_MAX, "weights %s, the oracle's %s; all %zu losses agree",
                 run->end.hash, oracle->end.hash, run->n_steps);
        verdict = DD_FAIL;
    }
    return verdict;
}

/* Relative distance; NaN where either is. */
static double distance(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

dd_verdict dd_judge_close_to_serial_(const dd_settings *settings, const dd_run *run,
                                     const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings;
    dd_verdict verdict = find_answer(oracle, reason);
    if (verdict != DD_PASS)
        return verdict;
    double worst_loss = 0, worst_norm = 0;
    for (size_t i = 0; i < n_common(run, oracle); i++) {
        const dd_step *a = &run->steps[i], *b = &oracle->steps[i];
        double loss = distance(a->loss, b->loss), norm = distance(a->norm, b->norm);
        if (!(loss <= DD_CLOSE_LOSS) || !(norm <= DD_CLOSE_NORM)) {
            snprintf(reason, DD_REASON_MAX,
                     "too far first at step %zu: loss %.9g, norm %.9g; the oracle's %.9g, %.9g; "
                     "%g and %g of them are allowed",
                     i, a->loss, a->norm, b->loss, b->norm, DD_CLOSE_LOSS, DD_CLOSE_NORM);
            return DD_FAIL;
        }
        worst_loss = fmax(worst_loss, loss);
        worst_norm = fmax(worst_norm, norm);
    }
    verdict = compare_ends(run, oracle, reason);
    if (verdict == DD_PASS)
        snprintf(reason, DD_REASON_MAX, "losses within %.1e, norms within %.1e of the oracle's",
                 worst_loss, worst_norm);
    return verdict;
}

static double mean_loss(const dd_step *steps, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += steps[i].loss;
    return sum / (double)n;
}

dd_verdict dd_judge_loss_falls_(const dd_settings *settings, const dd_run *run,
                                const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    if (run->n_steps < DD_LOSS_MIN_STEPS) {
        snprintf(reason, DD_REASON_MAX, "%zu steps, at least %d are needed", run->n_steps,
                 DD_LOSS_MIN_STEPS);
        return DD_SKIP;
    }
    size_t quarter = run->n_steps / 4;
    double first = mean_loss(run->steps, quarter);
    double last = mean_loss(run->steps + run->n_steps - quarter, quarter);
    double floor = run->end.floor_nats;
    bool falls = last <= first * (1 - DD_LOSS_MARGIN);
    bool at_floor = last <= floor * (1 + DD_LOSS_AT_FLOOR); /* false while the floor is unknown */
    snprintf(reason, DD_REASON_MAX,
             "mean loss of the first %zu steps %.4f, of the last %zu %.4f; %.4f or less would do",
             quarter, first, quarter, last, first * (1 - DD_LOSS_MARGIN));
    return falls || at_floor ? DD_PASS : DD_FAIL;
}
