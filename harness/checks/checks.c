/* SPDX-License-Identifier: MIT
 * The registry of checks, and verdicts. */
#include "checks.h"
#include "subject.h"

#include <stdio.h>
#include <string.h>

/* ---- What settings promise ---- */

static bool trains(const dd_settings *s)
{
    return s->plant == DD_PLANT_NONE;
}

static bool is_bit_equal(const dd_settings *s)
{
    return trains(s) && dd_subject_get(s->subject, s->plant)->bit_equal;
}

static bool is_plugin(const dd_settings *s)
{
    return s->subject == DD_SUBJECT_PLUGIN;
}

static bool is_close(const dd_settings *s)
{
    return trains(s) && !is_plugin(s) && !dd_subject_get(s->subject, s->plant)->bit_equal;
}

static bool is_own_equal(const dd_settings *s)
{
    return is_plugin(s) && s->tolerance == 0;
}

static bool is_own_close(const dd_settings *s)
{
    return is_plugin(s) && s->tolerance > 0;
}

/* One run is no repetition. */
static bool is_repeated(const dd_settings *s)
{
    return is_own_equal(s) && s->repeats > 1;
}

static bool has_threads(const dd_settings *s)
{
    return trains(s) && dd_subject_get(s->subject, s->plant)->thread;
}

static bool has_spheres(const dd_settings *s)
{
    return trains(s) && dd_subject_get(s->subject, s->plant)->spheres;
}

static bool has_timetable(const dd_settings *s)
{
    return has_spheres(s) && (s->timetable[0] || s->storm[0]);
}

static bool is_planted(const dd_settings *s)
{
    return s->plant != DD_PLANT_NONE;
}

/* ---- The registry ---- */

static const dd_check checks[] = {
    {"no-hang", 'h', "the child ends by itself and its progress never stops for the stall limit",
     trains, dd_judge_no_hang_, DD_CHECK_USUAL},
    {"finite-gradients", 'f',
     "loss and gradient norm of every step are finite and no step is discarded; of plug-ins the "
     "final weights, too",
     trains, dd_judge_finite_, DD_CHECK_USUAL},
    {"serial-equivalence", 's',
     "every step's loss and norm and the final weights are the oracle's, bit for bit", is_bit_equal,
     dd_judge_serial_, DD_CHECK_USUAL},
    {"close-to-serial", 'e',
     "of subjects that sum in another order: losses are the oracle's within 1e-5, norms within "
     "1e-4, relative, at every step",
     is_close, dd_judge_close_to_serial_, DD_CHECK_USUAL},
    {"own-equivalence", 'o',
     "of plug-ins: every step's loss and norm and the final weights are those of its own run with "
     "one worker, bit for bit",
     is_own_equal, dd_judge_own_equivalence_, DD_CHECK_USUAL},
    {"own-tolerance", 'w',
     "of plug-ins with a tolerance: every step's loss and each of the final weights are those of "
     "its own run with one worker within that, relative",
     is_own_close, dd_judge_own_tolerance_, DD_CHECK_USUAL},
    {"repeatable", 'r', "of plug-ins: repeats with the same workers give the same bits",
     is_repeated, dd_judge_repeatable_, DD_CHECK_BESIDE_FIRST},
    {"lanes-once", 'l',
     "the lanes of all threads add up to requests x non-empty lanes, none cancelled but by a storm",
     has_threads, dd_judge_lanes_once_, DD_CHECK_USUAL},
    {"node-zero-idle", 'z',
     "Node Zero ran no lane and used at most 2 % CPU, or 100 us a step, between Points A and B, "
     "its costliest step left out",
     has_spheres, dd_judge_node_zero_idle_, DD_CHECK_USUAL},
    {"controls-idle", 'i', "no sphere processed a lane while it had children", has_spheres,
     dd_judge_controls_idle_, DD_CHECK_USUAL},
    {"segments-bound", 'b',
     "no worker holds more than 3 x lane depth + 1 gradients, with reduce owner none and the team "
     "one; the bytes are those of as many",
     has_spheres, dd_judge_segments_bound_, DD_CHECK_USUAL},
    {"timetable-kept", 't', "membership changed as often as the timetable says, or the storm",
     has_timetable, dd_judge_timetable_kept_, DD_CHECK_USUAL},
    {"guard-fault", 'g',
     "a planted stray write faults at once and is reported with thread, sphere, region and offset",
     is_planted, dd_judge_guard_fault_, DD_CHECK_ANY_END},
    {"clean-shutdown", 'c', "after close no thread, file descriptor or process is left", trains,
     dd_judge_clean_shutdown_, DD_CHECK_USUAL},
    {"loss-falls", 'd',
     "the last quarter's mean loss is 1 % below the first quarter's, or within 3 % of the data's "
     "floor",
     trains, dd_judge_loss_falls_, DD_CHECK_USUAL},
};
#define N_CHECKS (sizeof checks / sizeof *checks)
_Static_assert(N_CHECKS <= DD_CHECKS_MAX, "rows are sized by DD_CHECKS_MAX");

const dd_check *dd_checks(size_t *n)
{
    *n = N_CHECKS;
    return checks;
}

const dd_check *dd_check_named(const char *name)
{
    for (size_t i = 0; i < N_CHECKS; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    return NULL;
}

/* ---- Verdicts ---- */

const char *dd_verdict_name(dd_verdict verdict)
{
    static const char *const names[] = {"PASS", "SKIP", "FAIL", "HANG", "CRASH"};
    return names[verdict];
}

dd_verdict dd_verdict_join(dd_verdict a, dd_verdict b)
{
    if (a == DD_SKIP || b == DD_SKIP)
        return a == DD_SKIP ? b : a;
    return a > b ? a : b;
}

/* The verdict that the way a run ended is by itself. */
static dd_verdict of_outcome(const dd_run *run)
{
    switch (run->outcome) {
    case DD_RUN_ENDED:
        return DD_PASS;
    case DD_RUN_NOT_RUN:
        return DD_SKIP;
    case DD_RUN_REFUSED:
        /* What the machine lacks is no fault of the trainer's. */
        return run->end.status == DD_ERR_CPU || run->end.status == DD_ERR_MEMORY ||
                       run->end.status == DD_ERR_THREAD
                   ? DD_SKIP
                   : DD_FAIL;
    case DD_RUN_HANG:
        return DD_HANG;
    case DD_RUN_CRASH:
        return DD_CRASH;
    }
    return DD_FAIL;
}

static bool can_judge(const dd_check *check, const dd_run *run)
{
    return run->outcome == DD_RUN_ENDED ||
           (check->kind == DD_CHECK_ANY_END &&
            (run->outcome == DD_RUN_HANG || run->outcome == DD_RUN_CRASH));
}

dd_verdict dd_checks_judge(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                           const dd_run *first, dd_check_row row[DD_CHECKS_MAX])
{
    dd_verdict worst = DD_SKIP;
    bool told = false; /* how a run ended that did not end well is told by one row */
    for (size_t i = 0; i < N_CHECKS; i++) {
        row[i] = (dd_check_row){.applies = checks[i].applies(settings), .verdict = DD_SKIP};
        if (!row[i].applies)
            continue;
        if (can_judge(&checks[i], run)) {
            row[i].verdict = checks[i].judge(
                settings, run, checks[i].kind == DD_CHECK_BESIDE_FIRST ? first : oracle,
                row[i].reason);
        } else {
            row[i].verdict = told ? DD_SKIP : of_outcome(run);
            snprintf(row[i].reason, DD_REASON_MAX, "%s%.240s",
                     told && worst > DD_SKIP ? "not judged: " : "",
                     run->reason[0] ? run->reason : "not run");
        }
        told = true;
        worst = dd_verdict_join(worst, row[i].verdict);
    }
    return worst;
}
