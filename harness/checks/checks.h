/* SPDX-License-Identifier: MIT
 * What must hold of every run, one entry each. A check judges the record of a run (cell.h) beside
 * the oracle's record; it runs nothing. Every one is shown to fail by a planted bad record in
 * harness/unit/test_checks.c. */
#ifndef DD_CHECKS_H
#define DD_CHECKS_H

#include "cell.h"
#include "verdict.h"

#define DD_CHECKS_MAX 20
#define DD_REASON_MAX 256

/* oracle: its run for the same bit-deciding settings, of any outcome, or NULL if there is none; of
 * a plug-in, in its place, the plug-in's own run with one worker.
 * Writes one line of reason, which may be "" for PASS. */
typedef dd_verdict dd_judge(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                            char reason[DD_REASON_MAX]);

typedef enum dd_check_kind {
    DD_CHECK_USUAL,       /* judges runs that ENDED, beside the oracle */
    DD_CHECK_ANY_END,     /* and those that hung or crashed */
    DD_CHECK_BESIDE_FIRST /* runs that ENDED, beside the first repeat of the cell that did in the
                             oracle's place; NULL: this is the first */
} dd_check_kind;

typedef struct dd_check {
    const char *name;    /* "serial-equivalence" */
    char letter;         /* its column in tables */
    const char *asserts; /* one line for people */
    /* Whether these settings promise it at all; one that they do not is left out. */
    bool (*applies)(const dd_settings *settings);
    dd_judge *judge;
    dd_check_kind kind;
} dd_check;

/* All checks, in the order of tables. */
const dd_check *dd_checks(size_t *n);
/* NULL if there is none of that name. */
const dd_check *dd_check_named(const char *name);

typedef struct dd_check_row {
    bool applies; /* else the rest says nothing: SKIP, "" */
    dd_verdict verdict;
    char reason[DD_REASON_MAX];
} dd_check_row;

/* Judges a run by every check that applies: row[i] belongs to dd_checks()[i]. Of a run that did not
 * end, hang and crash are verdicts of the first of them, and every other is a SKIP; so is a run
 * that was refused because the machine lacks memory, threads, instructions or keys.
 * first    of the same cell's repeats before this one, the first that ENDED; NULL: none did
 * returns  the run's verdict: the worst row                                                     */
dd_verdict dd_checks_judge(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                           const dd_run *first, dd_check_row row[DD_CHECKS_MAX]);

/* Bounds that checks state and tests use. */
#define DD_NODE_ZERO_CPU_SHARE 0.02 /* of the time between Points A and B */
#define DD_NODE_ZERO_CPU_NS 100000  /* a request: falling asleep and being woken, with room */
#define DD_LOSS_MIN_STEPS 8
#define DD_LOSS_MARGIN 0.01          /* of the first quarter's mean */
#define DD_LOSS_AT_FLOOR 0.03        /* above the floor there is no falling further */
#define DD_SEGMENT_SLACK_BYTES 65536 /* of one: head, alignment, whole pages, guard pages */
/* Of subjects whose sums are in another order: relative distance from the oracle, any step.
 * Rounding alone makes 1e-7 and 1e-6 of it in some hundred steps; a lane that is lost or counted
 * twice, 5e-4 at once. */
#define DD_CLOSE_LOSS 1e-5
#define DD_CLOSE_NORM 1e-4

/* Each check's function, in checks_process.c (how the process and its threads behaved), … */
dd_judge dd_judge_no_hang_, dd_judge_lanes_once_, dd_judge_clean_shutdown_;
/* … checks_spheres.c (what only a trainer of spheres promises) … */
dd_judge dd_judge_node_zero_idle_, dd_judge_controls_idle_, dd_judge_segments_bound_,
    dd_judge_timetable_kept_, dd_judge_guard_fault_;
/* … checks_training.c (what was trained) … */
dd_judge dd_judge_finite_, dd_judge_serial_, dd_judge_close_to_serial_, dd_judge_loss_falls_;
/* … and checks_plugin.c (what a plug-in promises of itself). */
dd_judge dd_judge_own_equivalence_, dd_judge_own_tolerance_, dd_judge_repeatable_;

#endif
