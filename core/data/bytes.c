/* SPDX-License-Identifier: MIT
 * bytes:FILE: every byte of any file is a token. */
#include "source.h"

dd_status dd_data_bytes_(dd_data *data, const char *path, dd_error *error)
{
    dd_data_file file;
    dd_status st = dd_data_file_open_(&file, data, path, error);
    if (st != DD_OK)
        return st;
    data->vocabulary = 256;
    st = dd_data_allocate_(data, file.size_bytes, error);
    for (uint64_t i = 0; st == DD_OK && i < data->n_tokens;) {
        uint8_t chunk[16384];
        uint64_t left = data->n_tokens - i;
        size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        st = dd_data_file_read_(&file, data, chunk, n, error);
        for (size_t j = 0; st == DD_OK && j < n; j++)
            data->tokens[i++] = chunk[j];
    }
    dd_data_file_close_(&file);
    return st;
}
