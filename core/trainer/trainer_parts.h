/* SPDX-License-Identifier: MIT
 * Inside core/trainer: what a trainer is made of. Every field has one writer at a time: which one,
 * and until which Point, is said beside it. Opening and closing are in trainer.c, the memory in
 * storage.c, what the team calls in callbacks.c, what the caller asks for in requests.c, and what
 * he may know in inspect.c. */
#ifndef DD_TRAINER_PARTS_H
#define DD_TRAINER_PARTS_H

#include "dodeca.h"

#include "adamw.h"
#include "gpt2.h"
#include "gradient_owner.h"
#include "gradient_slice.h"
#include "guard.h"
#include "platform.h"
#include "room.h"
#include "snapshot.h"
#include "team.h"

/* What `each` does with a lane. */
typedef enum dd_each_mode { DD_EACH_VALIDATE, DD_EACH_REPLAY } dd_each_mode;

/* Who ran a lane in the last step, and its part of a DD_TEAM_EACH request. */
typedef struct dd_lane_result {
    uint32_t worker;
    double loss;
    bool nonfinite; /* replay: `element` of its gradient is not finite */
    uint64_t element;
} dd_lane_result;

/* The arrays that a checkpoint keeps: (P) each. */
enum { DD_KEPT_WEIGHTS, DD_KEPT_M, DD_KEPT_V, DD_KEPT_ARRAYS };

/* The save of a checkpoint file, save_file.c. */
typedef struct dd_saving dd_saving;

struct dd_trainer {
    /* fixed after open */
    dd_config config; /* workers, max_workers, seq, reduce and micro_batch resolved */
    const dd_data *data;
    const uint16_t *tokens;
    dd_data_split split;
    dd_model model;
    uint32_t n_lanes, non_empty_lanes;
    uint32_t cpus; /* this process may use */
    uint64_t n_blocks;
    uint64_t P;
    uint64_t *lane_tokens; /* (n_lanes); locked once open, as are the tables marked so below */
    uint32_t *lane_number; /* (n_lanes) of each lane among those that are not empty */
    uint32_t *sequences;   /* (non_empty_lanes) */
    dd_room room;          /* what storage has room for */
    dd_layout vectors;     /* `owner`: of segments */
    size_t stack_bytes;    /* of each thread */
    dd_team *team;

    float *kept_array[DD_KEPT_ARRAYS]; /* V to U: each worker its slice; A to V read-only */
    float *packed;                     /* the weights once more, packed.h: as kept_array */
    dd_segments segments;  /* A to B: by plan; B to V the folder, or each worker its slice of the
                              root; V to U read-only. `owner`: one a lane, of vectors alone */
    dd_acts *acts;         /* `owner`: of the whole batch, each lane's its worker's from A to B;
                              read-only from there to U */
    float *gradient;       /* (P) the whole gradient of the last step. `owner`: memory of its own,
                              B to V each worker its slice; else of segment `root` */
    uint32_t n_workspaces; /* workers from this number on run no lane */
    dd_workspace **workspace;         /* (n_workspaces) locked; worker w only */
    dd_slice_scratch **slice_scratch; /* `sliced`, (max_workers) locked; worker w only */
    dd_owner_scratch **owner_scratch; /* `owner`, likewise */
    double *block_sums;          /* who completes the root, or each worker its slice; then until V
                                    who gives the verdict */
    uint64_t *first_token;       /* the batch: Node Zero before A, from there to U read-only */
    dd_each_mode each_mode;      /* caller before A */
    uint64_t validation_batch;   /* likewise: the number of the one to validate on */
    dd_lane_result *lane_result; /* (n_lanes) the lane's worker until B */
    double slice_loss;           /* `sliced` and `owner`: the worker of the first block, until V */

    /* Profile: by whose hands time was spent. The caller reads between requests. */
    bool profiling, profiled;  /* caller before A: phases are measured; ever were */
    dd_profile *profile;       /* (max_workers) worker w only */
    dd_profile_sum *fold_sums; /* (segments.n) of folds into it: who may write the segment */
    dd_profile_sum norm_sum;   /* as block_sums, where one thread completes the root */

    /* Guard. Node Zero before A, unless said otherwise. */
    dd_guard *guard;         /* NULL: off */
    const char *guard_why;   /* fixed after open */
    uint32_t *segment_owner; /* (segments.n) the worker, or UINT32_MAX; read by fault handlers */
    double guard_share_sum;  /* over guard_turns requests */
    uint64_t guard_turns;
    /* And who gives the verdict, until V; Node Zero from U to A; the caller after the reply */
    bool guard_shut;   /* weights and batch are protected, or some of that */
    bool guard_failed; /* a change of protection was refused: the request is not to take place */

    /* Node Zero between U and A; workers read it from A to U */
    dd_snapshot *snapshot; /* NULL: nothing was ever kept */
    uint64_t kept_step, kept_adam_t;
    /* Caller before A; workers read it from A to U, Node Zero between U and A */
    dd_snapshot *saved; /* of the save under way; NULL: none was ever begun */
    dd_saving *saving;  /* the caller's alone; NULL likewise */

    /* Number of the next step. Atomic, relaxed: it orders nothing. Stored by who gives the verdict,
     * until V, and by Node Zero, between U and A; the caller loads it for messages, while a restore
     * may be changing it. */
    dd_atomic_u64 step;
    /* Who gives the verdict, until V; Node Zero between U and A */
    uint64_t adam_t;
    dd_adamw adamw; /* workers read it from V to U */
    /* Who gives the verdict, until V; the caller after the reply */
    uint32_t root;  /* segment of the last root gradient */
    dd_step result; /* of the last step that was not cancelled, but for culprit and wall_ns */
    bool advanced;  /* the last step was not cancelled */
};

/* First sequence of lane l; lane l owns [begin(l), begin(l + 1)). */
static inline uint32_t dd_lane_begin_(const dd_trainer *t, uint32_t lane)
{
    return (uint32_t)((uint64_t)lane * t->config.batch / t->n_lanes);
}

/* Somebody is about to write bytes [first, last) of a kept array: whoever still shares their pages
 * gets copies. As dd_snapshot_before_write. */
static inline void dd_before_write_(dd_trainer *t, uint32_t array, size_t first, size_t last)
{
    if (t->snapshot)
        dd_snapshot_before_write(t->snapshot, array, first, last);
    if (t->saved)
        dd_snapshot_before_write(t->saved, array, first, last);
}

/* The table of callbacks for the team. */
dd_work dd_trainer_work_(dd_trainer *t);

/* Guard mode: writers of weights and batch are let in again, if they were shut out. Between
 * requests, or who begins or ends one.  returns  false: the system refused */
bool dd_trainer_lift_(dd_trainer *t);

/* All memory of a run, for `room`: arrays, segments, workspaces. Half-built storage is
 * released by dd_storage_close_ too.
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_storage_open_(dd_trainer *t);
/* Zeroed memory, `bytes` > 0, for control data: with a guard, nobody writes it from the end of
 * dd_storage_open_ to close. NULL: no memory. */
void *dd_storage_locked_(dd_trainer *t, size_t bytes);
void dd_storage_close_(dd_trainer *t);

#endif
