/* SPDX-License-Identifier: MIT
 * Inside `dodeca diff`: what two records have in common, where the runs part, and which numbers
 * differ there. cmd_diff.c goes from one to the next, diff_tell.c words it. Steps are counted as
 * points: 0 is the start, p lies behind step p - 1. */
#ifndef DD_DIFF_H
#define DD_DIFF_H

#include "run_replay.h"

/* ---- Settings ---- */

enum { DD_DIFF_KEYS_MAX = 64 };

typedef struct dd_diff_setting {
    const char *name;
    bool decides_bits;
    char value[2][DD_SPEC_MAX];
} dd_diff_setting;

typedef struct dd_diff_settings {
    dd_diff_setting setting[DD_DIFF_KEYS_MAX]; /* those that differ */
    size_t n;
    bool same_data, same_shape, same_program;
    bool must_be_equal; /* by the bit contract; else `why` says why not */
    char why[DD_MESSAGE_MAX];
} dd_diff_settings;

void dd_diff_settings_compare(const dd_record_head *a, const dd_record_head *b,
                              dd_diff_settings *out);

/* ---- Steps ---- */

typedef struct dd_diff_steps {
    uint64_t first; /* steps done where both begin: the first point to compare */
    bool parted;
    uint64_t point;         /* the first at which they part */
    dd_record_line line[2]; /* of it; at the start weights alone */
    uint64_t parted_points; /* from there on: how often they differ, */
    uint64_t equal_points;  /* and how often they are alike */
    uint64_t steps[2];      /* that are recorded */
    dd_record_line end[2];  /* how each ends */
    bool cut[2];            /* the last line was not whole */
} dd_diff_steps;

/* Reads both to their ends. Nothing is taken for granted about points behind the first: every
 * line must be read to be judged anyway, so that a bisection would save nothing.
 * returns  false, message filled: a line is bad, or one ends before the other begins */
bool dd_diff_steps_compare(dd_record record[2], dd_diff_steps *out, char message[DD_MESSAGE_MAX]);

/* ---- Numbers ---- */

/* Floats between two of them, of which both zeros are one; UINT64_MAX where one is a NaN. */
uint64_t dd_ulp_distance(float a, float b);

typedef struct dd_diff_tensor {
    uint64_t size, differ; /* elements, and those whose bits are not the same */
    uint64_t first, most;  /* inside the tensor: the first that differs; the farthest apart */
    float at_first[2], at_most[2];
    uint64_t first_ulp, most_ulp;
} dd_diff_tensor;

void dd_diff_tensors(const dd_layout *layout, const float *a, const float *b,
                     dd_diff_tensor out[DD_N_TENSORS]);

/* Where an element of tensor k stands; layer is UINT32_MAX where there are none, row where it is
 * no matrix. */
typedef struct dd_diff_place {
    uint32_t layer, row, column;
} dd_diff_place;
dd_diff_place dd_diff_place_of(const dd_layout *layout, dd_tensor k, uint64_t element);

/* ---- All of it ---- */

typedef struct dd_diff {
    dd_record record[2];
    dd_diff_settings settings;
    dd_diff_steps steps;
    bool replayed;
    dd_replay replay[2];
    bool reproduced[2]; /* the replay's weights are those that were recorded */
    dd_diff_tensor tensor[DD_N_TENSORS];
} dd_diff;

/* To stdout. */
void dd_diff_print(const dd_diff *d);
void dd_diff_print_json(const dd_diff *d);

#endif
