/* SPDX-License-Identifier: MIT
 * Inside the oracle: one lane, forward and backward (NUMERICS 4 to 6). */
#ifndef DD_SERIAL_LANE_H
#define DD_SERIAL_LANE_H

#include "dodeca.h"
#include "real.h"

#include <stddef.h>

#define lane_tensors_point DD_ORACLE_NAME(dd_lane_tensors_point_)
#define lane_work_open DD_ORACLE_NAME(dd_lane_work_open_)
#define lane_work_close DD_ORACLE_NAME(dd_lane_work_close_)
#define lane_forward DD_ORACLE_NAME(dd_lane_forward_)
#define lane_backward DD_ORACLE_NAME(dd_lane_backward_)

/* The tensors of NUMERICS 2, parameters or their gradients, in canonical order in one piece of
 * memory. */
typedef struct tensors {
    real *wte;      /* (V, C) */
    real *wpe;      /* (T_max, C) */
    real *ln1w;     /* (L, C) */
    real *ln1b;     /* (L, C) */
    real *qkvw;     /* (L, 3C, C) */
    real *qkvb;     /* (L, 3C) */
    real *attprojw; /* (L, C, C) */
    real *attprojb; /* (L, C) */
    real *ln2w;     /* (L, C) */
    real *ln2b;     /* (L, C) */
    real *fcw;      /* (L, 4C, C) */
    real *fcb;      /* (L, 4C) */
    real *fcprojw;  /* (L, C, 4C) */
    real *fcprojb;  /* (L, C) */
    real *lnfw;     /* (C) */
    real *lnfb;     /* (C) */
} tensors;

#define N_TENSORS 16

/* Points t at the tensors that begin at `memory`; size (N_TENSORS) gets the elements of each. */
void lane_tensors_point(const dd_shape *shape, real *memory, tensors *t, size_t size[N_TENSORS]);

typedef struct lane_model {
    dd_shape shape;
    size_t T;  /* tokens per sequence */
    real inv;  /* 1 / (B T) */
    tensors w; /* the weights */
} lane_model;

/* A gradient: one lane's, or several lanes' folded. */
typedef struct gradient {
    real *dense;   /* every tensor in canonical order; wte's share is that of the logits product */
    real *lookup;  /* (V, C) wte's lookup part: row v counts only if present[v] */
    bool *present; /* (V) */
    double loss;   /* sum over the tokens */
} gradient;

/* Activations of one lane, kept for its backward pass. */
typedef struct lane_work lane_work;

/* owns  *out on success, released by lane_work_close.  errors  DD_ERR_MEMORY */
dd_status lane_work_open(const lane_model *m, size_t max_sequences, lane_work **out);
void lane_work_close(lane_work *a, const lane_model *m); /* a NULL allowed */

/* Losses of the lane's n sequences, which begin at tokens[first[i]]; token_loss (n, T) is written.
 * returns  their sum */
double lane_forward(const lane_model *m, lane_work *a, const uint16_t *tokens,
                    const uint64_t *first, size_t n, real *token_loss);
/* The gradient of what lane_forward has just computed, into *out: all of it but the loss is
 * written. */
void lane_backward(const lane_model *m, lane_work *a, gradient *out);

#endif
