/* SPDX-License-Identifier: MIT
 * What a file of weights or tokens holds, as `dodeca inspect` tells it. */
#ifndef DD_INSPECTION_H
#define DD_INSPECTION_H

#include "checkpoint.h"
#include "safetensors.h"
#include "settings.h"
#include "tensors.h"

typedef enum dd_inspected {
    DD_INSPECTED_MODEL,     /* weights of a GPT-2, a checkpoint's among them */
    DD_INSPECTED_CONTAINER, /* another safetensors file */
    DD_INSPECTED_SHARD      /* tokens */
} dd_inspected;

typedef struct dd_inspected_tensor {
    uint64_t dim[3];
    uint32_t n_dims;
    float min, max; /* of its finite values; NaN where there are none */
    double mean;    /* likewise */
    uint64_t n, n_nan, n_infinite;
    uint8_t hash[16]; /* XXH3-128 */
} dd_inspected_tensor;

typedef struct dd_inspection {
    const char *path;
    dd_inspected kind;
    /* of a model */
    dd_model_file_info model;
    dd_inspected_tensor tensor[DD_N_TENSORS];
    uint8_t hash[16];          /* of all weights, as train --print-hash has it */
    dd_checkpoint *checkpoint; /* of a checkpoint */
    /* of another container, and of a checkpoint */
    dd_safetensors *container;
    char why[sizeof(dd_error)]; /* it is no model */
    dd_data *shard;
} dd_inspection;

/* Reads all of a model or a shard, checksums included.
 * owns     the inspection on success, ended by dd_inspection_end; borrows path
 * errors   DD_ERR_DATA: nothing that is known; DD_ERR_MEMORY                                   */
dd_status dd_inspection_begin(const char *path, dd_inspection *out, dd_error *error);
void dd_inspection_end(dd_inspection *inspection);

/* To stdout: for people, or as one JSON object. */
void dd_inspection_print(const dd_inspection *inspection);
void dd_inspection_print_json(const dd_inspection *inspection);

#endif
