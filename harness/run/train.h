/* SPDX-License-Identifier: MIT
 * Inside `dodeca train`: a training on its way, and what is told of it. cmd_train.c runs it;
 * train_tell.c words it, for people and for programs. */
#ifndef DD_TRAIN_H
#define DD_TRAIN_H

#include "health.h"
#include "hog.h"
#include "run_record.h"
#include "settings.h"
#include "subject.h"
#include "timetable.h"
#include "trace_file.h"
#include "train_profile.h"

#define DD_TRAIN_TO_THE_END UINT64_MAX

typedef struct dd_train {
    dd_settings settings;
    uint64_t given; /* settings on the command line: bits by index in dd_keys() */
    bool print_hash, json;
    uint64_t stop_after;   /* steps, or DD_TRAIN_TO_THE_END */
    uint64_t status_every; /* steps; 0: never */
    uint32_t validation_batches;
    const char *record_path, *dump_path, *trace_path; /* NULL: none */
    uint32_t trace_events;                            /* room for so many of each thread */
    /* what is open */
    const dd_subject_api *subject;
    void *self;          /* the subject's */
    dd_trainer *trainer; /* self, where it is one; else NULL */
    dd_data *data;
    char used[DD_SPEC_MAX];  /* the data's spec as opened */
    dd_timetable *timetable; /* NULL: no changes */
    dd_health *health;       /* NULL: no status asked for */
    dd_hogs *hogs;
    dd_recorder *record;      /* NULL: none */
    dd_trace_file *trace;     /* NULL: none */
    int dump;                 /* the file for the weights */
    bool unwritten;           /* a line of the record could not be written */
    dd_train_profile profile; /* config.profile */
    /* how far it is */
    uint64_t done, discarded, step_ns;
    uint64_t commands, command_ns; /* of the timetable */
    uint64_t changes_failed;       /* of the policy, as last seen */
    uint32_t failures_told;        /* a bit for each dd_status that was told */
    dd_step last;
    bool validated; /* `validation` is a loss, finite or not; else why_not says why, if anything */
    double validation;
    char why_not[DD_MESSAGE_MAX];
    /* the progress line */
    uint64_t shown_ns; /* when it was last shown */
    bool terminal, line_open;
} dd_train;

/* The step after which it ends. */
uint64_t dd_train_last(const dd_train *t);

/* To stderr: what is trained by whom, before it begins. */
void dd_train_describe(const dd_train *t);
/* To stderr: on a terminal one line that is rewritten, ten times a second at most; else lines, one
 * a second at most. */
void dd_train_progress(dd_train *t);
/* Ends the line that is rewritten, before anything else is written. */
void dd_train_close_line(dd_train *t);
/* To stderr, once a step is done: how many threads were refused their CPUs, if any. */
void dd_train_unpinned(const dd_train *t);
/* To stderr, depth auto: a change of membership that the policy wanted and could not have, once for
 * each kind of failure. */
void dd_train_change_failed(dd_train *t);
/* To stderr: a step that was not finite. */
void dd_train_discarded(dd_train *t, const dd_step *step);
/* To stderr, as JSON to stdout: health.h. */
void dd_train_status(dd_train *t, uint64_t now_ns);
/* To stdout: a step, and the whole, as JSON; the whole for people. */
void dd_train_json_step(const dd_step *step);
void dd_train_json_end(const dd_train *t, dd_status status, const char *hash);
void dd_train_end(const dd_train *t);

#endif
