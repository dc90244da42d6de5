/* SPDX-License-Identifier: MIT
 * Model files as llm.c writes them: 256 little-endian int32 (magic 20240326, version 3, T_max, V,
 * L, NH, C, V padded, zeros), then the sixteen tensors in canonical order as FP32, wte with rows of
 * padding up to the padded vocabulary. source  https://github.com/karpathy/llm.c, train_gpt2.c */
#ifndef DD_LLMC_H
#define DD_LLMC_H

#include "model_pieces.h"

#define DD_LLMC_MAGIC 20240326
enum { DD_LLMC_PIECES = 2 };

/* Checks header and size. The rows of padding are not looked at.
 * errors   DD_ERR_DATA                                                                         */
dd_status dd_llmc_find(const dd_input_file *file, dd_shape *shape, uint32_t *padded_vocabulary,
                       dd_model_piece piece[DD_LLMC_PIECES], dd_error *error);

/* Writes a whole model; V is padded to a multiple of 128 with rows of zeros.
 * requires a valid shape, and a file to which nothing was written yet
 * errors   DD_ERR_DATA with what the system said; DD_ERR_MEMORY                                */
dd_status dd_llmc_write(dd_whole_file *file, const dd_shape *shape, const float *weights,
                        dd_error *error);

#endif
