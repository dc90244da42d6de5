/* SPDX-License-Identifier: MIT
 * Moves weights between memory and files, block by block. */
#include "model_pieces.h"

#include "error.h"
#include "platform.h"

#include <assert.h>
#include <string.h>

enum { TILE_ROWS = 16, TILE_COLUMNS = 1 << 14, BLOCK_BYTES = 1 << 20 };

/* A block of a transposed matrix, and a row of it in half precision. */
typedef struct tile {
    float value[TILE_ROWS][TILE_COLUMNS];
    uint16_t half[TILE_COLUMNS];
} tile;

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static size_t width(dd_dtype dtype)
{
    return dtype == DD_DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* ---- Half precision ---- */

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float widen_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) /* infinities, and NaNs with what they carry */
        return of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent > 0)
        return of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    const float value = (float)fraction * 0x1p-24f;
    return sign ? -value : value;
}

static void widen(dd_dtype dtype, const uint16_t *half, size_t n, float *out)
{
    assert(dtype == DD_DTYPE_F16 || dtype == DD_DTYPE_BF16);
    for (size_t i = 0; i < n; i++)
        out[i] = dtype == DD_DTYPE_F16 ? widen_f16(half[i]) : of_bits((uint32_t)half[i] << 16);
}

/* ---- Reading ---- */

/* n elements that lie one behind the other in the file and in memory. */
static dd_status read_run(const dd_input_file *file, uint64_t offset, dd_dtype dtype, uint64_t n,
                          float *out, tile *t, dd_error *error)
{
    const size_t block = dtype == DD_DTYPE_F32 ? BLOCK_BYTES / sizeof *out : TILE_COLUMNS;
    for (uint64_t done = 0; done < n;) {
        const size_t now = least(n - done, block);
        void *to = dtype == DD_DTYPE_F32 ? (void *)(out + done) : t->half;
        const dd_status st =
            dd_input_file_read(file, offset + done * width(dtype), to, now * width(dtype), error);
        if (st != DD_OK)
            return st;
        if (dtype != DD_DTYPE_F32)
            widen(dtype, t->half, now, out + done);
        done += now;
    }
    return DD_OK;
}

static dd_status read_tile(const dd_input_file *file, const dd_model_piece *p, uint64_t row,
                           uint64_t column, float *out, tile *t, dd_error *error)
{
    const size_t rows = least(p->rows - row, TILE_ROWS);
    const size_t columns = least(p->columns - column, TILE_COLUMNS);
    for (size_t r = 0; r < rows; r++) {
        const uint64_t at = (row + r) * p->columns + column;
        const dd_status st = read_run(file, p->offset + at * width(p->dtype), p->dtype, columns,
                                      t->value[r], t, error);
        if (st != DD_OK)
            return st;
    }
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < rows; r++)
            out[(column + c) * p->rows + row + r] = t->value[r][c];
    return DD_OK;
}

static dd_status read_piece(const dd_input_file *file, const dd_model_piece *p, float *out, tile *t,
                            dd_error *error)
{
    if (!p->transposed)
        return read_run(file, p->offset, p->dtype, p->rows * p->columns, out, t, error);
    dd_status st = DD_OK;
    for (uint64_t row = 0; st == DD_OK && row < p->rows; row += TILE_ROWS)
        for (uint64_t column = 0; st == DD_OK && column < p->columns; column += TILE_COLUMNS)
            st = read_tile(file, p, row, column, out, t, error);
    return st;
}

dd_status dd_model_pieces_read(const dd_input_file *file, const dd_model_piece *piece, uint32_t n,
                               float *weights, dd_error *error)
{
    tile *t = dd_alloc(sizeof *t);
    if (!t)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", file->path);
    dd_status st = DD_OK;
    for (uint32_t i = 0; st == DD_OK && i < n; i++)
        st = read_piece(file, &piece[i], weights + piece[i].element, t, error);
    dd_free(t);
    return st;
}

/* ---- Writing ---- */

static dd_status write_run(dd_whole_file *file, uint64_t offset, uint64_t n, const float *from,
                           dd_error *error)
{
    for (uint64_t done = 0; done < n;) {
        const size_t now = least(n - done, BLOCK_BYTES / sizeof *from);
        const dd_status st = dd_whole_file_write(file, offset + done * sizeof *from, from + done,
                                                 now * sizeof *from, error);
        if (st != DD_OK)
            return st;
        done += now;
    }
    return DD_OK;
}

static dd_status write_tile(dd_whole_file *file, const dd_model_piece *p, uint64_t row,
                            uint64_t column, const float *from, tile *t, dd_error *error)
{
    const size_t rows = least(p->rows - row, TILE_ROWS);
    const size_t columns = least(p->columns - column, TILE_COLUMNS);
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < rows; r++)
            t->value[r][c] = from[(column + c) * p->rows + row + r];
    dd_status st = DD_OK;
    for (size_t r = 0; st == DD_OK && r < rows; r++) {
        const uint64_t at = (row + r) * p->columns + column;
        st = write_run(file, p->offset + at * sizeof *from, columns, t->value[r], error);
    }
    return st;
}

static dd_status write_piece(dd_whole_file *file, const dd_model_piece *p, const float *from,
                             tile *t, dd_error *error)
{
    assert(p->dtype == DD_DTYPE_F32);
    if (!p->transposed)
        return write_run(file, p->offset, p->rows * p->columns, from, error);
    dd_status st = DD_OK;
    for (uint64_t row = 0; st == DD_OK && row < p->rows; row += TILE_ROWS)
        for (uint64_t column = 0; st == DD_OK && column < p->columns; column += TILE_COLUMNS)
            st = write_tile(file, p, row, column, from, t, error);
    return st;
}

dd_status dd_model_pieces_write(dd_whole_file *file, const dd_model_piece *piece, uint32_t n,
                                const float *weights, dd_error *error)
{
    tile *t = dd_alloc(sizeof *t);
    if (!t)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory to write a model file");
    dd_status st = DD_OK;
    for (uint32_t i = 0; st == DD_OK && i < n; i++)
        st = write_piece(file, &piece[i], weights + piece[i].element, t, error);
    dd_free(t);
    return st;
}
