/* SPDX-License-Identifier: MIT
 * Model files of every format: which one a file is of, and whose work it is then. */
#include "dodeca.h"

#include "checkpoint.h"
#include "error.h"
#include "gpt2_names.h"
#include "llmc.h"
#include "model_pieces.h"
#include "platform.h"
#include "tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct dd_model_file {
    dd_model_file_info info;
    dd_checkpoint *checkpoint; /* one of these three, by the format */
    dd_safetensors *container;
    dd_input_file llmc;
    dd_gpt2_names names; /* of a container */
    dd_model_piece piece[DD_LLMC_PIECES];
};

static const char *const formats[DD_FILE_FORMATS] = {[DD_FILE_CHECKPOINT] = "checkpoint",
                                                     [DD_FILE_SAFETENSORS] = "safetensors",
                                                     [DD_FILE_LLMC] = "llm.c"};

const char *dd_file_format_name(dd_file_format format)
{
    return (unsigned)format < DD_FILE_FORMATS ? formats[format] : "unknown";
}

/* ---- Opening ---- */

static dd_status open_checkpoint(dd_model_file *m, const char *path, dd_error *error)
{
    dd_safetensors_close(m->container);
    m->container = NULL;
    const dd_status st = dd_checkpoint_open(path, &m->checkpoint, error);
    if (st != DD_OK)
        return st;
    dd_checkpoint_info about;
    dd_checkpoint_info_get(m->checkpoint, &about);
    m->info = (dd_model_file_info){.format = DD_FILE_CHECKPOINT,
                                   .shape = about.config.shape,
                                   .padded_vocabulary = about.config.shape.V,
                                   .step = about.step};
    return DD_OK;
}

static dd_status open_container(dd_model_file *m, const char *path, dd_error *error)
{
    dd_status st = dd_safetensors_open(path, &m->container, error);
    if (st != DD_OK)
        return st;
    if (dd_safetensors_metadata(m->container, DD_CHECKPOINT_KEY))
        return open_checkpoint(m, path, error);
    if ((st = dd_gpt2_names_find(m->container, &m->names, error)) != DD_OK)
        return st;
    m->info = (dd_model_file_info){.format = DD_FILE_SAFETENSORS,
                                   .shape = m->names.shape,
                                   .padded_vocabulary = m->names.shape.V};
    return DD_OK;
}

/* By the first bytes: as the length of a container's header llm.c's magic number is too large. */
_Static_assert(DD_LLMC_MAGIC > DD_SAFETENSORS_HEADER_MAX, "so that no file can be both");

/* A container's header begins with a brace, after its length. What does not is no damaged model:
 * it is told so, in place of what its first bytes would mean as a length. */
static dd_status check_brace(const dd_input_file *file, dd_error *error)
{
    enum { AT = 8 };
    char brace = '{';
    const dd_status st = file->bytes > AT ? dd_input_file_read(file, AT, &brace, 1, error) : DD_OK;
    if (st != DD_OK || brace == '{')
        return st;
    return dd_error_set(error, DD_ERR_DATA,
                        DD_PATH_FORMAT
                        ": is no model: byte 0 has not llm.c's magic number %d, and byte %d not "
                        "the { that a safetensors header begins with",
                        file->path, DD_LLMC_MAGIC, AT);
}

static dd_status open_any(dd_model_file *m, const char *path, dd_error *error)
{
    int32_t magic = 0;
    dd_status st = dd_input_file_open(path, &m->llmc, error);
    if (st != DD_OK)
        return st;
    if (m->llmc.bytes == 0)
        return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": is empty", path);
    if (m->llmc.bytes >= sizeof magic)
        st = dd_input_file_read(&m->llmc, 0, &magic, sizeof magic, error);
    if (st != DD_OK)
        return st;
    if (magic == DD_SHARD_MAGIC)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": is a token shard of llm.c, not a model", path);
    if (magic != DD_LLMC_MAGIC) {
        st = check_brace(&m->llmc, error);
        dd_input_file_close(&m->llmc);
        return st == DD_OK ? open_container(m, path, error) : st;
    }
    m->info.format = DD_FILE_LLMC;
    return dd_llmc_find(&m->llmc, &m->info.shape, &m->info.padded_vocabulary, m->piece, error);
}

dd_status dd_model_file_open(const char *path, dd_model_file **out, dd_error *error)
{
    if (!path || !out)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_model_file_open: path and out must not be NULL");
    dd_model_file *m = dd_alloc(sizeof *m);
    if (!m)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    const dd_status st = open_any(m, path, error);
    if (st != DD_OK) {
        dd_model_file_close(m);
        return st;
    }
    m->info.n_parameters = dd_shape_n_parameters(&m->info.shape);
    *out = m;
    return DD_OK;
}

void dd_model_file_close(dd_model_file *m)
{
    if (!m)
        return;
    dd_checkpoint_close(m->checkpoint);
    dd_safetensors_close(m->container);
    dd_input_file_close(&m->llmc);
    dd_free(m->names.piece);
    dd_free(m);
}

void dd_model_file_info_get(const dd_model_file *m, dd_model_file_info *out)
{
    *out = m->info;
}

/* ---- Reading ---- */

/* dodeca's models have one table for both ends; a file may say it twice, but not two. */
static dd_status check_tied(const dd_model_file *m, dd_error *error)
{
    enum { BLOCK = 1 << 19 };
    const dd_safetensor *wte = m->names.wte, *lm_head = m->names.lm_head;
    if (!lm_head)
        return DD_OK;
    const char *path = dd_safetensors_file(m->container)->path;
    char *a = dd_alloc((size_t)2 * BLOCK);
    if (!a)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    char *b = a + BLOCK;
    dd_status st = DD_OK;
    for (uint64_t done = 0; st == DD_OK && done < wte->bytes; done += BLOCK) {
        const uint64_t left = wte->bytes - done;
        const size_t n = left < BLOCK ? (size_t)left : BLOCK;
        st = dd_safetensors_read(m->container, wte, done, n, a, error);
        if (st == DD_OK)
            st = dd_safetensors_read(m->container, lm_head, done, n, b, error);
        if (st == DD_OK && memcmp(a, b, n) != 0)
            st = dd_error_set(error, DD_ERR_DATA,
                              DD_PATH_FORMAT ": tensor \"lm_head.weight\": is not wte.weight once "
                                             "more: untied, which dodeca's models are not",
                              path);
    }
    dd_free(a);
    return st;
}

dd_status dd_model_file_read(dd_model_file *m, float *weights, dd_error *error)
{
    if (!m || !weights)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_model_file_read: file and weights must not be NULL");
    if (m->checkpoint)
        return dd_checkpoint_read(m->checkpoint, DD_CHECKPOINT_WEIGHTS, weights, error);
    if (!m->container)
        return dd_model_pieces_read(&m->llmc, m->piece, DD_LLMC_PIECES, weights, error);
    const dd_status st = check_tied(m, error);
    return st == DD_OK ? dd_model_pieces_read(dd_safetensors_file(m->container), m->names.piece,
                                              m->names.n, weights, error)
                       : st;
}

/* ---- Writing ---- */

/* The header, and the offsets of all pieces. */
static dd_status write_header(dd_whole_file *file, const dd_shape *shape, dd_safetensor *tensor,
                              dd_model_piece *piece, uint32_t n, dd_error *error)
{
    enum { SIZES = 5 };
    const struct {
        const char *key;
        uint32_t value;
    } sizes[SIZES] = {{"n_head", shape->NH},
                      {"n_layer", shape->L},
                      {"n_embd", shape->C},
                      {"vocab_size", shape->V},
                      {"n_positions", shape->T_max}};
    char text[SIZES][16];
    dd_safetensors_pair pair[1 + SIZES] = {{"format", "pt"}};
    for (int i = 0; i < SIZES; i++) {
        (void)snprintf(text[i], sizeof text[i], "%" PRIu32, sizes[i].value);
        pair[1 + i] = (dd_safetensors_pair){sizes[i].key, text[i]};
    }
    char *header;
    size_t bytes;
    dd_status st = dd_safetensors_header(tensor, n, pair, 1 + SIZES, &header, &bytes, error);
    if (st != DD_OK)
        return st;
    st = dd_whole_file_write(file, 0, header, bytes, error);
    dd_free(header);
    for (uint32_t i = 0; i < n; i++)
        piece[i].offset = tensor[i].offset;
    return st;
}

static dd_status write_safetensors(dd_whole_file *file, const dd_shape *shape, const float *weights,
                                   dd_error *error)
{
    dd_safetensor *tensor;
    dd_gpt2_name *name;
    dd_model_piece *piece;
    uint32_t n;
    dd_status st = dd_gpt2_names_make(shape, &tensor, &name, &piece, &n, error);
    if (st != DD_OK)
        return st;
    st = write_header(file, shape, tensor, piece, n, error);
    if (st == DD_OK)
        st = dd_model_pieces_write(file, piece, n, weights, error);
    dd_free(tensor);
    dd_free(name);
    dd_free(piece);
    return st;
}

dd_status dd_model_file_write(const char *path, dd_file_format format, const dd_shape *shape,
                              const float *weights, dd_error *error)
{
    if (!path || !shape || !weights || dd_shape_n_parameters(shape) == 0)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_model_file_write: path, a valid shape and weights must be given");
    if (format != DD_FILE_SAFETENSORS && format != DD_FILE_LLMC)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_model_file_write: format \"%s\": weights alone are written as "
                            "safetensors or llm.c",
                            dd_file_format_name(format));
    dd_whole_file *file;
    dd_status st = dd_whole_file_create(path, &file, error);
    if (st != DD_OK)
        return st;
    st = format == DD_FILE_LLMC ? dd_llmc_write(file, shape, weights, error)
                                : write_safetensors(file, shape, weights, error);
    if (st == DD_OK)
        return dd_whole_file_commit(file, 1, error);
    dd_whole_file_abandon(file);
    return st;
}
