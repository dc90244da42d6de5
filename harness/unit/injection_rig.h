/* SPDX-License-Identifier: MIT
 * A trainer whose steps are spoilt, the oracle beside it, and a workspace in which its lanes are
 * run alone, one after the other: what comes of that is what the trainer must name. */
#ifndef DD_INJECTION_RIG_H
#define DD_INJECTION_RIG_H

#include "injection.h"
#include "serial.h"
#include "trainer_parts.h"

enum { RIG_BATCH_MAX = 30 };

typedef struct rig {
    dd_config config;
    dd_trainer *t;
    dd_serial *oracle;
    dd_workspace *ws;
    dd_segments lane; /* one */
    float *kept[DD_KEPT_ARRAYS];
    uint32_t named, once;          /* workers, a bit each; injections that a replay did not see */
    uint64_t first[RIG_BATCH_MAX]; /* of the next step's sequences */
} rig;

/* A model with nothing round about it; more sequences than lanes at lane depth 1, fewer at 2. */
dd_config rig_config(void);
void rig_open(rig *r, const dd_config *config);
void rig_close(rig *r);

/* Reproducible: one of n. */
uint32_t rig_pick(uint32_t n);
/* The lane that is number i of those that are not empty. */
uint32_t rig_lane(const rig *r, uint32_t i);
/* r->first, for the step that comes next. */
void rig_find_batch(rig *r);

/* Weights and moments as they are, and that they still are so. */
void rig_keep(rig *r);
void rig_assert_kept(const rig *r);
/* Both take a step; the oracle alone discards one, a weight being NaN while it lasts. */
void rig_good_step(rig *r);
void rig_oracle_discards(rig *r);
void rig_assert_oracles_bits(const rig *r);

/* The culprit that an element of a lane's gradient is. */
dd_culprit rig_culprit(const rig *r, uint32_t lane, uint64_t element);
/* Lane after lane, each alone: the lowest that is not finite.  returns  false: all are finite */
bool rig_predict(rig *r, dd_culprit *out);
/* The same of the gradient that the last discarded step had, which is no lane's. */
dd_culprit rig_in_root(const rig *r);

#endif
