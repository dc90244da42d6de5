/* SPDX-License-Identifier: MIT
 * Weights between memory, where they lie in canonical order, and a file, where pieces of them lie
 * elsewhere, transposed or in half precision. Works in blocks: needs no second model's memory.
 * Knows no names and no formats. */
#ifndef DD_MODEL_PIECES_H
#define DD_MODEL_PIECES_H

#include "input_file.h"
#include "safetensors.h"
#include "whole_file.h"

/* Elements [element, element + rows * columns) of the canonical order. In the file they are rows of
 * columns; transposed: element n * rows + k of them is the file's row k, column n. */
typedef struct dd_model_piece {
    uint64_t element, rows, columns;
    uint64_t offset; /* in the file */
    dd_dtype dtype;  /* F32, F16 or BF16 */
    bool transposed;
} dd_model_piece;

/* Half precision is widened, which is exact.
 * errors   DD_ERR_DATA: the file has shrunk, or cannot be read; DD_ERR_MEMORY                  */
dd_status dd_model_pieces_read(const dd_input_file *file, const dd_model_piece *piece, uint32_t n,
                               float *weights, dd_error *error);

/* requires dtype F32
 * errors   DD_ERR_DATA with what the system said; DD_ERR_MEMORY                                */
dd_status dd_model_pieces_write(dd_whole_file *file, const dd_model_piece *piece, uint32_t n,
                                const float *weights, dd_error *error);

#endif
