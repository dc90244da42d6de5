/* SPDX-License-Identifier: MIT
 * The sixteen parameter tensors of GPT-2: names, sizes and places in canonical order (NUMERICS 2).
 */
#ifndef DD_TENSORS_H
#define DD_TENSORS_H

#include "dodeca.h"

typedef enum dd_tensor {
    DD_WTE,      /* (V, C) */
    DD_WPE,      /* (T_max, C) */
    DD_LN1W,     /* (L, C) */
    DD_LN1B,     /* (L, C) */
    DD_QKVW,     /* (L, 3C, C) */
    DD_QKVB,     /* (L, 3C) */
    DD_ATTPROJW, /* (L, C, C) */
    DD_ATTPROJB, /* (L, C) */
    DD_LN2W,     /* (L, C) */
    DD_LN2B,     /* (L, C) */
    DD_FCW,      /* (L, 4C, C) */
    DD_FCB,      /* (L, 4C) */
    DD_FCPROJW,  /* (L, C, 4C) */
    DD_FCPROJB,  /* (L, C) */
    DD_LNFW,     /* (C) */
    DD_LNFB,     /* (C) */
    DD_N_TENSORS
} dd_tensor;

/* Where each tensor lies: elements [offset[k], offset[k + 1]) of the parameter vector. */
typedef struct dd_layout {
    dd_shape shape;
    uint64_t offset[DD_N_TENSORS + 1];
} dd_layout;

/* requires a valid shape (dd_shape_n_parameters > 0) */
void dd_layout_make(const dd_shape *shape, dd_layout *out);

/* What is left of it without the weight matrices, wte among them, and with T rows of wpe: the
 * tensors whose gradients are made lane by lane where those of matrices are not. */
void dd_layout_make_vectors(const dd_shape *shape, uint32_t T, dd_layout *out);

static inline uint64_t dd_layout_size(const dd_layout *layout)
{
    return layout->offset[DD_N_TENSORS];
}

const char *dd_tensor_name(dd_tensor k);
/* Weight decay is for matrices only. */
bool dd_tensor_decayed(dd_tensor k);
/* The tensor that holds canonical element `element`. */
dd_tensor dd_layout_tensor_of(const dd_layout *layout, uint64_t element);

/* Offset of layer l's slice of tensor k; l is 0 for tensors that have no layers. */
uint64_t dd_layout_layer(const dd_layout *layout, dd_tensor k, uint32_t l);

/* A tensor of weight matrices W (N, K), one a layer: N outputs, K inputs. */
typedef struct dd_matrix {
    uint32_t N, K, n_layers; /* 1 where there are no layers */
} dd_matrix;
/* wte, qkvw, attprojw, fcw and fcprojw.  returns  false: any other tensor */
bool dd_layout_matrix(const dd_layout *layout, dd_tensor k, dd_matrix *out);

/* The tensor's dimensions, as the comments of dd_tensor have them.  returns  how many, 1 to 3 */
uint32_t dd_layout_dims(const dd_layout *layout, dd_tensor k, uint64_t dim[3]);

/* Writes the parameters a training run starts from (NUMERICS 2). */
void dd_weights_start(const dd_layout *layout, uint64_t seed, float *weights);

#endif
