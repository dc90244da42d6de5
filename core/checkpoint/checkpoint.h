/* SPDX-License-Identifier: MIT
 * Checkpoint files: a safetensors container of weights and Adam's moments in canonical layout, and
 * of all that decides how a training goes on. Owns what such a file says, its checksums, and the
 * comparison with a training that is to go on from it; knows no trainer and no threads.
 *
 *   tensors      weights.NAME, then adam_m.NAME, then adam_v.NAME, NAME as dd_tensor_name has it;
 *                F32, in canonical order, so that each of the three is one piece of the file
 *   metadata     dodeca_checkpoint "1"; settings under the names that the command line has for
 * them, numbers in decimal, reals as hexadecimal floats; the model as L, NH, C, V and T; data,
 * data-tokens and data-hash; step, the number of the next step, and updates, how many of the steps
 * before it changed the weights (Adam's t) checksums    xxh3-128.TENSOR for each tensor; xxh3-128
 * of the lines KEY=VALUE of all the others, in the order in which they are written
 *
 * All values are in one form only: what reads back as the same number but is written otherwise is
 * refused. */
#ifndef DD_CHECKPOINT_H
#define DD_CHECKPOINT_H

#include "dodeca.h"
#include "whole_file.h"

#define DD_CHECKPOINT_KEY "dodeca_checkpoint" /* whose presence makes a container a checkpoint */

typedef enum dd_checkpoint_array {
    DD_CHECKPOINT_WEIGHTS,
    DD_CHECKPOINT_M,
    DD_CHECKPOINT_V,
    DD_CHECKPOINT_ARRAYS
} dd_checkpoint_array;

/* Bytes [first, first + bytes) of one of the arrays, as they are to be written. */
typedef void dd_checkpoint_source(void *user, dd_checkpoint_array array, size_t first, size_t bytes,
                                  void *out);

/* Writes a whole checkpoint into the file, which is neither committed nor abandoned here.
 * requires info->config.seq is not 0
 * threads  re-entrant; `read` is called by the calling thread
 * errors   DD_ERR_DATA: what the system said; DD_ERR_MEMORY                                    */
dd_status dd_checkpoint_write(dd_whole_file *file, const dd_checkpoint_info *info,
                              dd_checkpoint_source *read, void *user, dd_error *error);

/* One array, (n_parameters) floats, its checksums checked.
 * errors   DD_ERR_DATA, DD_ERR_MEMORY; `out` may hold anything then                           */
dd_status dd_checkpoint_read(const dd_checkpoint *c, dd_checkpoint_array array, float *out,
                             dd_error *error);

/* Whether a training of this configuration and data may go on from the checkpoint: whether they
 * agree in everything that decides the bits.
 * errors   DD_ERR_ARGUMENT: the message names the setting and both values                     */
dd_status dd_checkpoint_fits(const dd_checkpoint *c, const dd_config *config, const dd_data *data,
                             dd_error *error);

#endif
