/* SPDX-License-Identifier: MIT
 * Inside core/model: activations, and what a workspace (gpt2.h) is made of. R is a number of rows
 * (tokens); every activation is (R, …), its sequences laid end to end. */
#ifndef DD_WORKSPACE_H
#define DD_WORKSPACE_H

#include "gpt2.h"

/* What one layer keeps for its backward pass. On the way back the gradient with respect to x, x2
 * and f takes the place of the value, which is of no more use then. */
typedef struct dd_layer_acts {
    float *x;             /* (R, C) input of the layer; its gradient */
    float *mean1, *rstd1; /* (R) */
    float *n1;            /* (R, C) LayerNorm of x */
    float *qkv;           /* (R, 3C) */
    float *P;             /* (sequences, NH, T, T) attention weights */
    float *att;           /* (R, C) heads' outputs side by side */
    float *x2;            /* (R, C) after the attention's residual; its gradient */
    float *mean2, *rstd2; /* (R) */
    float *n2;            /* (R, C) LayerNorm of x2 */
    float *f;             /* (R, 4C) before GELU; its gradient */
    float *g;             /* (R, 4C) after it */
    float *gqkv;          /* (R, 3C) gradient of qkv */
    /* operands only: n1, att, n2 and g in panels */
    float *in_qkv, *in_attproj, *in_fc, *in_fcproj;
} dd_layer_acts;

/* Of up to `sequences` sequences; or a view of some of them: sequence 0 is then another's. Where
 * the operands of weight gradients are kept, for later, the inputs of products (n1, att, n2, g, nf)
 * lie in panels of sixteen columns, panel_pitch floats apart, and gqkv is each layer's own; as rows
 * those inputs live no longer than their product needs them, in the workspace. Else it is the rows
 * that are kept, and gqkv is the same memory for all layers. */
struct dd_acts {
    uint32_t sequences;
    bool keeps_operands;
    size_t panel_pitch;
    float *memory; /* all arrays; NULL: a view */
    uint64_t bytes;
    uint32_t *tok, *tgt;  /* (R) input and target tokens */
    dd_layer_acts *layer; /* (L) */
    float *xf;            /* (R, C) output of the last layer; its gradient */
    float *meanf, *rstdf; /* (R) */
    float *nf;            /* (R, C) final LayerNorm */
    float *in_wte;        /* nf in panels */
    float *logits;        /* (R, V); their gradient */
    float *loss;          /* (R) */
};

struct dd_workspace {
    uint64_t bytes, lane_bytes, scratch_bytes; /* the first without the others */
    uint32_t max_sequences;                    /* at once */
    dd_profile *profile;                       /* NULL: nothing is measured */
    void *scratch;                             /* the kernels' */
    dd_acts *own;                              /* NULL: it works on those of `all` */
    const dd_acts *all;
    dd_acts at; /* the sequences at work, from 0 on, and how many they are */
    uint32_t n_sequences;
    size_t R;         /* rows of them */
    float *memory;    /* all arrays below */
    float *branch;    /* (R, C) a branch's output before it joins the residual stream */
    float *gn, *gatt; /* (R, C) gradients of n1, n2 and nf, of att; where operands are kept,
                         forward, the values too */
    float *gg;        /* (R, 4C) gradient of g, likewise */
    bool keeps;       /* the products at work keep their operands */
    dd_rows lookup; /* a lane's own lookup rows while it is folded; none with shared activations */
    dd_segments lane; /* a lane that is to be folded, while its pieces are made; none, or one */
};

/* Where the panels lie of what tensor k of layer l is multiplied with, if operands are kept. */
float *dd_acts_operand(const dd_acts *acts, dd_tensor k, uint32_t l);

/* The workspace turns to n sequences, the first of which is number `first`.
 * requires n <= max_sequences, first + n at most those of the activations                     */
void dd_workspace_turn_to(const dd_model *m, dd_workspace *ws, uint32_t first, uint32_t n);

#endif
