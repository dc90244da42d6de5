/* SPDX-License-Identifier: MIT
 * tokens:FILE: a token shard as llm.c writes it. 256 little-endian int32 of header (magic, version,
 * number of tokens, zeros), then that many uint16. The file's size must agree with its header to
 * the byte. */
#include "source.h"

#include "error.h"
#include "tokens.h"

#include <inttypes.h>

#define VERSION 1
#define HEADER_WORDS 256
#define HEADER_BYTES (HEADER_WORDS * sizeof(int32_t))

static dd_status check_header(const dd_data *data, const int32_t header[HEADER_WORDS],
                              uint64_t size_bytes, dd_error *error)
{
    const char *spec = data->spec;
    if (header[0] != DD_SHARD_MAGIC)
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: byte 0: magic is %" PRId32 ", a token shard has %d", spec,
                            header[0], DD_SHARD_MAGIC);
    if (header[1] != VERSION)
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: byte 4: version is %" PRId32 ", only %d (uint16) is known",
                            spec, header[1], VERSION);
    if (header[2] <= 0)
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: byte 8: the header counts %" PRId32
                            " tokens, it must be at least 1",
                            spec, header[2]);
    uint64_t expected = HEADER_BYTES + (uint64_t)header[2] * sizeof(uint16_t);
    if (size_bytes != expected)
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: byte 8: the header counts %" PRId32
                            " tokens, which makes %" PRIu64 " bytes, but the file has %" PRIu64
                            ": %s",
                            spec, header[2], expected, size_bytes,
                            size_bytes % 2          ? "an odd size, not whole uint16 tokens"
                            : size_bytes < expected ? "it is truncated"
                                                    : "it has bytes past its end");
    return DD_OK;
}

dd_status dd_data_shard_(dd_data *data, const char *path, dd_error *error)
{
    int32_t header[HEADER_WORDS];
    dd_data_file file;
    dd_status st = dd_data_file_open_(&file, data, path, error);
    if (st != DD_OK)
        return st;
    if (file.size_bytes < HEADER_BYTES) {
        st = dd_error_set(error, DD_ERR_DATA,
                          "data %s: ends at byte %" PRIu64 ", inside the header of %zu bytes",
                          data->spec, file.size_bytes, HEADER_BYTES);
        goto done;
    }
    if ((st = dd_data_file_read_(&file, data, header, sizeof header, error)) != DD_OK ||
        (st = check_header(data, header, file.size_bytes, error)) != DD_OK ||
        (st = dd_data_allocate_(data, (uint64_t)header[2], error)) != DD_OK)
        goto done;
    st = dd_data_file_read_(&file, data, data->tokens,
                            (size_t)data->n_tokens * sizeof *data->tokens, error);
done:
    dd_data_file_close_(&file);
    return st;
}
