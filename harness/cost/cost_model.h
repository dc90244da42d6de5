/* SPDX-License-Identifier: MIT
 * The cost model of one kernel set on one machine: fitted on measured cells, checked on cells it
 * was not fitted on, and used to say what steps would take on more cores. What is predicted is a
 * range between two stated assumptions, and never stands beside what was measured. */
#ifndef DD_COST_MODEL_H
#define DD_COST_MODEL_H

#include "cost_cells.h"
#include "cost_fit.h"

#define DD_COST_ERROR_TARGET 0.10 /* of the median cell that was left out */

/* How far off predictions of cells were that the fit had not seen. */
typedef struct dd_cost_error {
    size_t n;                  /* 0: there were none */
    double median, p90, worst; /* of |predicted / measured - 1| */
    size_t worst_cell;         /* index in the model's cells */
} dd_cost_error;

typedef struct dd_cost_model {
    char kernels[64];
    size_t n;
    const dd_cost_cell **cell; /* (n) of dd_cost_cells, which must outlive the model */
    double *error; /* (n) of each cell, every fifth left out: predicted / measured - 1 */
    dd_cost_fit fit;
    double share[DD_COST_TERMS]; /* of the steps fitted, mean */
    dd_cost_error fitted;        /* of cells it was fitted on: no proof of anything */
    dd_cost_error left_out;      /* every fifth cell, in turn */
    dd_cost_error other_shape;   /* all cells of a shape, in turn */
    bool tree;                   /* cells with the tree barrier were among them */
    uint32_t cores;              /* of the machine */
} dd_cost_model;

/* Fits the cells of one kernel set.
 * owns     *m, released by dd_cost_model_close, whatever became of it
 * returns  false, message filled: too few cells, and what would suffice; no memory             */
bool dd_cost_model_open(dd_cost_model *m, const dd_cost_cells *cells, const char *kernels,
                        char message[DD_MESSAGE_MAX]);
void dd_cost_model_close(dd_cost_model *m);

/* ---- Predictions ---- */

/* The least that a core of a large machine gets of its memory while all cores read and write: a
 * server of 64 cores and eight channels of DDR4-3200, 205 GB/s, has 3.2 GB/s for each. */
#define DD_COST_LEAST_GBS 3.0
/* Sequences of a batch where none is asked for: so many a core. */
#define DD_COST_SEQUENCES_A_CORE 4

/* Predictions that differ by less are as good as each other: the model's errors are greater. */
#define DD_COST_ALIKE 1.02

typedef struct dd_cost_wanted {
    char model[DD_SPEC_MAX];
    dd_shape shape;
    uint32_t seq, batch; /* batch 0: DD_COST_SEQUENCES_A_CORE for each core */
    bool measured;       /* cells of this shape were among those fitted */
} dd_cost_wanted;

typedef struct dd_cost_range {
    double low, high;
} dd_cost_range;

/* One worker a core. */
typedef struct dd_cost_forecast {
    dd_cost_case is;
    double one_ns;         /* of one worker here, the same batch, lanes and reduction */
    dd_cost_range ns;      /* of the step */
    dd_cost_range speedup; /* one_ns / ns */
    double lane_bound, bytes;
} dd_cost_forecast;

/* Predicts for `cores` workers at `depth` with `reduce`, with the lane depth whose slower end is
 * fastest, or the least as good as that.
 * errors   DD_ERR_REFUSED: that depth does not hold so many workers, or the batch has not so many
 *          sequences, or more than 2^24 tokens; DD_ERR_MEMORY                                  */
dd_status dd_cost_predict(const dd_cost_model *m, const dd_cost_wanted *wanted, uint32_t cores,
                          uint32_t depth, dd_reduce reduce, dd_cost_forecast *out);

/* Why dd_cost_predict refuses so many cores at that depth, whatever the reduction. */
typedef enum dd_cost_refusal {
    DD_COST_MAY,       /* it does not */
    DD_COST_TOO_MANY,  /* there are more cores than workers at that depth: 12, 144, 1,728 */
    DD_COST_TOO_LARGE, /* the batch has more than 2^24 tokens */
    DD_COST_TOO_FEW    /* and fewer sequences, or lanes, than cores */
} dd_cost_refusal;
dd_cost_refusal dd_cost_refuses(const dd_cost_wanted *wanted, uint32_t cores, uint32_t depth);
/* In words. */
const char *dd_cost_refusal_why(dd_cost_refusal refusal);

#endif
