/* SPDX-License-Identifier: MIT
 * Header and layout of llm.c's model files. */
#include "llmc.h"

#include "error.h"

#include <inttypes.h>

enum { VERSION = 3, VERSION_BF16 = 5, HEADER_WORDS = 256, PADDING = 128 };
#define HEADER_BYTES (HEADER_WORDS * sizeof(int32_t))

enum { AT_MAGIC, AT_VERSION, AT_T_MAX, AT_V, AT_L, AT_NH, AT_C, AT_PADDED };

/* wte, and all behind it. */
static void lay_out(const dd_shape *shape, uint64_t padded, dd_model_piece piece[DD_LLMC_PIECES])
{
    const uint64_t C = shape->C, wte = shape->V * C;
    piece[0] =
        (dd_model_piece){.rows = 1, .columns = wte, .offset = HEADER_BYTES, .dtype = DD_DTYPE_F32};
    piece[1] = (dd_model_piece){.element = wte,
                                .rows = 1,
                                .columns = dd_shape_n_parameters(shape) - wte,
                                .offset = HEADER_BYTES + padded * C * sizeof(float),
                                .dtype = DD_DTYPE_F32};
}

static dd_status check_header(const dd_input_file *file, const int32_t header[HEADER_WORDS],
                              dd_error *error)
{
    const char *path = file->path;
    if (header[AT_MAGIC] != DD_LLMC_MAGIC)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte 0: magic is %" PRId32
                                           ", a model of llm.c has %d",
                            path, header[AT_MAGIC], DD_LLMC_MAGIC);
    if (header[AT_VERSION] != VERSION)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte 4: version is %" PRId32
                                           "%s; only %d is read, FP32 with a padded vocabulary",
                            path, header[AT_VERSION],
                            header[AT_VERSION] == VERSION_BF16 ? ", weights in BF16" : "", VERSION);
    static const char *const name[] = {
        [AT_T_MAX] = "positions", [AT_V] = "vocabulary", [AT_L] = "layers",
        [AT_NH] = "heads",        [AT_C] = "channels",   [AT_PADDED] = "padded vocabulary"};
    for (int i = AT_T_MAX; i <= AT_PADDED; i++)
        if (header[i] < 1)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": byte %zu: %s: is %" PRId32 ", must be at least 1",
                                path, (size_t)i * sizeof *header, name[i], header[i]);
    if (header[AT_PADDED] < header[AT_V])
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte %zu: the padded vocabulary is %" PRId32
                                           ", less than the vocabulary of %" PRId32,
                            path, AT_PADDED * sizeof *header, header[AT_PADDED], header[AT_V]);
    return DD_OK;
}

dd_status dd_llmc_find(const dd_input_file *file, dd_shape *shape, uint32_t *padded_vocabulary,
                       dd_model_piece piece[DD_LLMC_PIECES], dd_error *error)
{
    int32_t header[HEADER_WORDS];
    if (file->bytes < HEADER_BYTES)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": ends at byte %" PRIu64
                                           ", inside the header of %zu bytes",
                            file->path, file->bytes, HEADER_BYTES);
    dd_status st = dd_input_file_read(file, 0, header, sizeof header, error);
    if (st == DD_OK)
        st = check_header(file, header, error);
    if (st != DD_OK)
        return st;
    dd_shape s = {.L = (uint32_t)header[AT_L],
                  .NH = (uint32_t)header[AT_NH],
                  .C = (uint32_t)header[AT_C],
                  .V = (uint32_t)header[AT_PADDED],
                  .T_max = (uint32_t)header[AT_T_MAX]};
    const uint64_t in_file = dd_shape_n_parameters(&s); /* padding included */
    if (in_file == 0)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte 8: L %" PRIu32 ", NH %" PRIu32 ", C %" PRIu32
                                           ", V padded %" PRIu32 ", T_max %" PRIu32
                                           ": sizes are at most 2^24, parameters 2^43, and C a "
                                           "multiple of NH",
                            file->path, s.L, s.NH, s.C, s.V, s.T_max);
    const uint64_t expected = HEADER_BYTES + in_file * sizeof(float);
    if (file->bytes != expected)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte 8: its sizes make %" PRIu64
                                           " bytes, but the file has %" PRIu64 ": %s",
                            file->path, expected, file->bytes,
                            file->bytes < expected ? "it is truncated"
                                                   : "it has bytes past its end");
    *padded_vocabulary = s.V;
    s.V = (uint32_t)header[AT_V];
    *shape = s;
    lay_out(shape, *padded_vocabulary, piece);
    return DD_OK;
}

dd_status dd_llmc_write(dd_whole_file *file, const dd_shape *shape, const float *weights,
                        dd_error *error)
{
    const uint32_t padded = (shape->V + PADDING - 1) / PADDING * PADDING;
    const int32_t header[HEADER_WORDS] = {
        [AT_MAGIC] = DD_LLMC_MAGIC,         [AT_VERSION] = VERSION,
        [AT_T_MAX] = (int32_t)shape->T_max, [AT_V] = (int32_t)shape->V,
        [AT_L] = (int32_t)shape->L,         [AT_NH] = (int32_t)shape->NH,
        [AT_C] = (int32_t)shape->C,         [AT_PADDED] = (int32_t)padded};
    dd_model_piece piece[DD_LLMC_PIECES];
    lay_out(shape, padded, piece);
    const dd_status st = dd_whole_file_write(file, 0, header, sizeof header, error);
    /* what lies between the pieces is never written, and so reads as zeros */
    return st == DD_OK ? dd_model_pieces_write(file, piece, DD_LLMC_PIECES, weights, error) : st;
}
