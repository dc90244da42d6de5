/* SPDX-License-Identifier: MIT
 * Inside core/model: what a workspace (gpt2.h) is made of. R is the lane's number of rows (tokens),
 * at most max_sequences * T; every activation is (R, …), its sequences laid end to end. */
#ifndef DD_WORKSPACE_H
#define DD_WORKSPACE_H

#include "gpt2.h"

/* Activations that one layer keeps for its backward pass. */
typedef struct dd_layer_acts {
    float *x;             /* (R, C) input of the layer */
    float *mean1, *rstd1; /* (R) */
    float *n1;            /* (R, C) LayerNorm of x */
    float *qkv;           /* (R, 3C) */
    float *P;             /* (sequences, NH, T, T) attention weights */
    float *att;           /* (R, C) heads' outputs side by side */
    float *x2;            /* (R, C) after the attention's residual */
    float *mean2, *rstd2; /* (R) */
    float *n2;            /* (R, C) LayerNorm of x2 */
    float *f, *g;         /* (R, 4C) before and after GELU */
} dd_layer_acts;

struct dd_workspace {
    uint64_t bytes;
    uint32_t max_sequences;
    dd_profile *profile;   /* NULL: nothing is measured */
    float *memory;         /* all arrays below */
    void *scratch;         /* the kernels' */
    dd_layer_acts *layer;  /* (L) */
    uint32_t *tok, *tgt;   /* (R) input and target tokens */
    float *xf;             /* (R, C) output of the last layer */
    float *meanf, *rstdf;  /* (R) */
    float *nf;             /* (R, C) final LayerNorm */
    float *logits;         /* (R, V), their gradient after the loss */
    float *loss;           /* (R) */
    float *branch;         /* (R, C) a branch's output before it joins the residual stream */
    float *gx, *gn, *gatt; /* (R, C) */
    float *gf;             /* (R, 4C) */
    float *gqkv;           /* (R, 3C) */
    dd_rows lookup;        /* the lane's own lookup rows while it is folded */
};

#endif
