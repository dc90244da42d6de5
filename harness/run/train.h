/* SPDX-License-Identifier: MIT
 * Inside `dodeca train`: a training on its way, and what is told of it. train_options.c
 * reads its options, cmd_train.c runs it, train_tell.c words it for people,
 * train_json.c for programs. */
#ifndef DD_TRAIN_H
#define DD_TRAIN_H

#include "health.h"
#include "hog.h"
#include "run_record.h"
#include "settings.h"
#include "subject.h"
#include "timetable.h"
#include "trace_file.h"
#include "train_log.h"
#include "train_profile.h"
#include "train_save.h"

#define DD_TRAIN_TO_THE_END UINT64_MAX

typedef struct dd_train {
    dd_settings settings;
    uint64_t given; /* settings on the command line: bits by index in dd_keys() */
    bool print_hash, json;
    uint64_t stop_after;   /* steps, or DD_TRAIN_TO_THE_END */
    uint64_t status_every; /* steps; 0: never */
    uint32_t validation_batches;
    uint64_t validate_every; /* steps; 0: at the end alone */
    uint64_t nan_patience;   /* discarded steps in a row that end the run; 0: none do */
    const char *log_path, *record_path, *dump_path, *trace_path; /* NULL: none */
    uint32_t trace_events; /* room for so many of each thread */
    dd_train_save save;
    /* what is open */
    const dd_subject_api *subject;
    void *self;          /* the subject's */
    dd_trainer *trainer; /* self, where it is one; else NULL */
    dd_data *data;
    char used[DD_SPEC_MAX];  /* the data's spec as opened */
    dd_timetable *timetable; /* NULL: no changes */
    dd_health *health;       /* NULL: no status asked for */
    dd_hogs *hogs;
    dd_train_log *log;        /* NULL: none, or it could not be written on */
    bool unlogged;            /* a line of the log could not be written */
    dd_recorder *record;      /* NULL: none */
    dd_trace_file *trace;     /* NULL: none */
    int dump;                 /* the file for the weights */
    bool unwritten;           /* a line of the record could not be written */
    dd_train_profile profile; /* config.profile */
    /* how far it is */
    uint64_t done, discarded, step_ns;
    uint64_t began;            /* `done` as it was when this run began: of a checkpoint; else 0 */
    uint64_t began_ns;         /* when it began to train */
    uint64_t discarded_in_row; /* the latest */
    double recent_ns;          /* a step: mean of the latest 20 or so */
    uint64_t commands, command_ns; /* of the timetable */
    uint64_t changes_failed;       /* of the policy, as last seen */
    uint32_t failures_told;        /* a bit for each dd_status that was told */
    dd_step last;
    uint64_t validated;                     /* how often; 0: why_not says why, if anything */
    uint64_t validated_done, validation_ns; /* the last one: after so many steps, and its time */
    double validation, best;                /* the last loss, the lowest finite one; NaN: none */
    uint64_t best_done;
    char why_not[DD_MESSAGE_MAX];
    /* the progress line */
    uint64_t shown_ns; /* when it was last shown */
    bool terminal, line_open;
} dd_train;

/* Options into *t, whose other fields have their defaults; ends the program for --help and for what
 * is wrong.
 * returns  DD_EXIT_HELD, or the exit code                                                      */
int dd_train_parse(int argc, char **argv, dd_train *t);

/* The step after which it ends. */
uint64_t dd_train_last(const dd_train *t);
/* Counts a step. Discarded steps leave the weights as they were, and other data alone seldom makes
 * them finite: nan_patience of them in a row are the end.  returns  true: it has come to that */
bool dd_train_hopeless(dd_train *t, bool discarded);

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
/* To stdout: the whole for people. */
void dd_train_end(const dd_train *t);

/* How many batches a validation has: as many as were asked for, or all there are. */
uint64_t dd_train_validation_batches(const dd_train *t);
/* Of this run's steps. */
double dd_train_tokens_per_s(const dd_train *t);
double dd_train_left_s(const dd_train *t);
/* Nats per token in bits per byte; NaN where a token is not a byte of the text. */
double dd_train_bits(const dd_train *t, double nats);

/* ---- JSON: train_log.h has the lines ---- */

/* The log's head, once everything is open. NULL: no memory, or a path that is not UTF-8. */
json_t *dd_train_json_head(const dd_train *t);
/* Each a line, with --json to stdout, with --log to the log. That the log cannot be written is told
 * once and noted; the training goes on. */
void dd_train_json_step(dd_train *t, const dd_step *step);
void dd_train_json_validation(dd_train *t);
/* A checkpoint of the training after `done` steps; failed: why it is not there, else NULL. */
void dd_train_json_save(dd_train *t, uint64_t done, const char *file, const char *failed);
/* why: what ended it early, else NULL. */
void dd_train_json_end(dd_train *t, dd_status status, const char *why, const char *hash);
void dd_train_json_health(dd_train *t, uint64_t now_ns);

#endif
