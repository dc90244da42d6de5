/* SPDX-License-Identifier: MIT
 * The record of a run, for `dodeca diff`: JSON, one object a line.
 *
 *     {"dodeca_record": 1, "version", "commit", "compiler", "flags", "program", "program_hash",
 *      "settings": {"model": "nano", …}, "data_hash", "workers", "kernels", "reduce",
 *      "tensors": ["wte", …], "hash", "tensor_hashes": […]}          the weights it starts from
 *     {"step": 0, "loss", "norm", "discarded", "hash", "tensor_hashes": […]}   after each step
 *     {"end": "DD_OK", "steps": 20}                                  where it came to its end
 *
 * Hashes are XXH3-128, high half first. A number that is not finite is null. Settings are what
 * would train the same again: texts as options have them, files by their absolute paths. A line is
 * written at once: where a run is killed, what stands in the file is whole but for the last line.
 */
#ifndef DD_RUN_RECORD_H
#define DD_RUN_RECORD_H

#include <jansson.h>
#include <stdio.h>

#include "program.h"
#include "subject.h"
#include "tensors.h"

#define DD_RECORD_VERSION 1
#define DD_RECORD_PATH DD_PROGRAM_PATH

/* Hashes of weights: of all, and of each tensor. */
typedef struct dd_fingerprint {
    uint8_t whole[16], tensor[DD_N_TENSORS][16];
} dd_fingerprint;
void dd_fingerprint_make(const dd_layout *layout, const float *weights, dd_fingerprint *out);
bool dd_fingerprint_equal(const dd_fingerprint *a, const dd_fingerprint *b);

/* ---- Writing ---- */

typedef struct dd_recorder dd_recorder;

/* Creates the file and writes the head of a run that has not begun, or goes on where `done` steps
 * are done already.
 * owns     *out on success, released by dd_recorder_close; nothing on failure
 * errors   DD_ERR_DATA: the file exists or cannot be written; DD_ERR_MEMORY                  */
dd_status dd_recorder_open(const char *path, const dd_settings *settings,
                           const dd_subject_api *subject, void *self, const dd_data *data,
                           const char *used, uint64_t done, dd_recorder **out, dd_error *error);
/* Adds a step.  errors  DD_ERR_DATA: the file cannot be written, error says why */
dd_status dd_recorder_step(dd_recorder *r, const dd_step *step, const float *weights,
                           dd_error *error);
/* Adds the end.  errors  as dd_recorder_step */
dd_status dd_recorder_end(dd_recorder *r, dd_status end, uint64_t steps, dd_error *error);
void dd_recorder_close(dd_recorder *r); /* NULL allowed */

/* What trains the same again, as texts: data by the absolute path of what was opened, the number of
 * workers as it was found. NULL: no memory. */
json_t *dd_record_settings_json(const dd_settings *s, const char *used, uint32_t workers);

/* ---- Reading ---- */

typedef struct dd_record_head {
    char version[32], commit[64], compiler[64], flags[1024];
    char program[DD_RECORD_PATH], program_hash[33];
    dd_settings settings; /* finished: every value is there */
    char data_hash[33];
    uint32_t workers; /* as it began */
    char kernels[64], reduce[16];
    dd_layout layout;
    uint64_t began; /* steps that were done before */
    dd_fingerprint start;
} dd_record_head;

typedef enum dd_record_kind { DD_RECORD_STEP, DD_RECORD_END, DD_RECORD_NOTHING } dd_record_kind;
typedef struct dd_record_line {
    dd_record_kind kind; /* DD_RECORD_NOTHING: the file ends without an end */
    uint64_t step;       /* of an end: steps done */
    double loss, norm;   /* NaN where not finite */
    bool discarded;
    dd_fingerprint weights;
    char end[24]; /* "DD_OK", … */
} dd_record_line;

typedef struct dd_record {
    const char *path; /* as given; borrowed */
    dd_record_head head;
    FILE *file;
    uint64_t line; /* number of the last line read */
    uint64_t next; /* the step that comes next */
    bool cut;      /* the last line is not whole, and was left out */
    bool ended;    /* nothing comes any more */
    char *text;    /* (DD_RECORD_LINE) */
} dd_record;

/* Opens and reads the head.
 * owns     *r, released by dd_record_close in any case
 * returns  false, message filled, "FILE:LINE: …" where a line is to blame */
bool dd_record_open(const char *path, dd_record *r, char message[DD_MESSAGE_MAX]);
/* The next line. Steps ascend by one, from those done before; behind an end there is nothing.
 * returns  false: as dd_record_open */
bool dd_record_next(dd_record *r, dd_record_line *out, char message[DD_MESSAGE_MAX]);
void dd_record_close(dd_record *r); /* a zeroed one is allowed */

#endif
