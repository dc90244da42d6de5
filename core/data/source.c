/* SPDX-License-Identifier: MIT
 * Token sources: opening by name, closing, what is known of them, and the file reading that all
 * kinds of files share. */
#define _POSIX_C_SOURCE 200809L
#include "source.h"

#include "error.h"
#include "hash.h"
#include "platform.h"
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error shards and hashes are defined on little-endian memory
#endif

static bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static dd_status load(dd_data *data, uint64_t seed, dd_error *error)
{
    const char *spec = data->spec;
    if (strcmp(spec, "builtin") == 0)
        return dd_data_builtin_(data, seed, error);
    bool bytes = has_prefix(spec, "bytes:"), shard = has_prefix(spec, "tokens:");
    if (!bytes && !shard)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "data \"%s\": unknown source; use builtin, bytes:FILE or tokens:FILE",
                            spec);
    const char *path = strchr(spec, ':') + 1;
    if (!*path)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "data \"%s\": a file name must follow the colon", spec);
    return bytes ? dd_data_bytes_(data, path, error) : dd_data_shard_(data, path, error);
}

dd_status dd_data_open(const char *spec, uint64_t seed, dd_data **out, dd_error *error)
{
    if (!spec || !out)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_data_open: spec and out must not be NULL");
    dd_status st = DD_ERR_MEMORY;
    size_t spec_bytes = strlen(spec) + 1;
    dd_data *data = dd_alloc(sizeof *data);
    if (!data || !(data->spec = dd_alloc(spec_bytes))) {
        dd_error_set(error, st, "data \"%s\": out of memory", spec);
        goto fail;
    }
    memcpy(data->spec, spec, spec_bytes);
    data->floor_nats = (double)NAN;
    if ((st = load(data, seed, error)) != DD_OK)
        goto fail;

    for (uint64_t i = 0; i < data->n_tokens; i++)
        data->largest = data->tokens[i] > data->largest ? data->tokens[i] : data->largest;
    if (data->vocabulary == 0)
        data->vocabulary = data->largest + 1;
    dd_hash128(data->tokens, data->n_tokens * sizeof *data->tokens, data->hash);
    *out = data;
    return DD_OK;
fail:
    dd_data_close(data);
    return st;
}

void dd_data_close(dd_data *data)
{
    if (!data)
        return;
    dd_free(data->tokens);
    dd_free(data->spec);
    dd_free(data);
}

void dd_data_info_get(const dd_data *data, dd_data_info *out)
{
    *out = (dd_data_info){
        .spec = data->spec,
        .n_tokens = data->n_tokens,
        .vocabulary = data->vocabulary,
        .largest = data->largest,
        .floor_nats = data->floor_nats,
    };
    memcpy(out->hash, data->hash, sizeof out->hash);
}

const uint16_t *dd_data_tokens(const dd_data *data, uint64_t *n)
{
    *n = data->n_tokens;
    return data->tokens;
}

dd_status dd_data_allocate_(dd_data *data, uint64_t n, dd_error *error)
{
    if (n > DD_DATA_MAX_TOKENS)
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: %" PRIu64 " tokens; a source may hold at most %" PRIu64
                            ": split the file",
                            data->spec, n, DD_DATA_MAX_TOKENS);
    data->tokens = dd_alloc((size_t)n * sizeof *data->tokens);
    if (!data->tokens)
        return dd_error_set(error, DD_ERR_MEMORY, "data %s: out of memory for %" PRIu64 " tokens",
                            data->spec, n);
    data->n_tokens = n;
    return DD_OK;
}

dd_status dd_data_file_open_(dd_data_file *file, const dd_data *data, const char *path,
                             dd_error *error)
{
    struct stat about;
    /* O_NONBLOCK: a named pipe is to be refused below, not waited for */
    *file = (dd_data_file){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file->fd < 0 || fstat(file->fd, &about) != 0) {
        dd_error_set(error, DD_ERR_DATA, "data %s: cannot open \"%s\": %s", data->spec, path,
                     strerror(errno));
        goto fail;
    }
    if (!S_ISREG(about.st_mode)) {
        dd_error_set(error, DD_ERR_DATA, "data %s: \"%s\" is %s, not a regular file", data->spec,
                     path, S_ISDIR(about.st_mode) ? "a directory" : "a device, pipe or socket");
        goto fail;
    }
    if (about.st_size <= 0) {
        dd_error_set(error, DD_ERR_DATA, "data %s: \"%s\" is empty", data->spec, path);
        goto fail;
    }
    file->size_bytes = (uint64_t)about.st_size;
    return DD_OK;
fail:
    dd_data_file_close_(file);
    return DD_ERR_DATA;
}

dd_status dd_data_file_read_(dd_data_file *file, const dd_data *data, void *to, size_t bytes,
                             dd_error *error)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(file->fd, (char *)to + done, bytes - done);
        if (n > 0) {
            done += (size_t)n;
            file->offset += (uint64_t)n;
        } else if (n == 0) {
            return dd_error_set(error, DD_ERR_DATA,
                                "data %s: ended at byte %" PRIu64 " of %" PRIu64
                                ": the file shrank while it was read",
                                data->spec, file->offset, file->size_bytes);
        } else if (errno != EINTR) {
            return dd_error_set(error, DD_ERR_DATA,
                                "data %s: reading failed at byte %" PRIu64 ": %s", data->spec,
                                file->offset, strerror(errno));
        }
    }
    return DD_OK;
}

void dd_data_file_close_(dd_data_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
