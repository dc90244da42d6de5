/* SPDX-License-Identifier: MIT
 * Inside core/data: what a token source is, and what its kinds (built-in chain, bytes, shard)
 * share. */
#ifndef DD_SOURCE_H
#define DD_SOURCE_H

#include "dodeca.h"

#include <sys/types.h>

/* Window and epoch arithmetic (NUMERICS 9) counts windows in 32 bits. */
#define DD_DATA_MAX_TOKENS (UINT64_C(1) << 32)

struct dd_data {
    char *spec;
    uint16_t *tokens;
    uint64_t n_tokens;
    uint32_t vocabulary, largest;
    double floor_nats;
    uint8_t hash[16];
};

/* Each kind fills tokens, n_tokens, vocabulary and floor_nats of *data, whose spec is set;
 * dd_data_open finds `largest` and the hash afterwards, and releases everything on failure. A
 * vocabulary of 0 means largest + 1. */
dd_status dd_data_builtin_(dd_data *data, uint64_t seed, dd_error *error);
dd_status dd_data_bytes_(dd_data *data, const char *path, dd_error *error);
dd_status dd_data_shard_(dd_data *data, const char *path, dd_error *error);

/* Allocates data->tokens for n tokens.  errors  DD_ERR_DATA beyond the limit, DD_ERR_MEMORY */
dd_status dd_data_allocate_(dd_data *data, uint64_t n, dd_error *error);

/* A regular, non-empty file open for reading. It is read with read(), never mapped: a file that
 * shrinks meanwhile gives an error and not a SIGBUS. */
typedef struct dd_data_file {
    int fd;
    uint64_t size_bytes; /* when it was opened */
    uint64_t offset;     /* bytes read so far */
} dd_data_file;

/* owns     *file on success, released by dd_data_file_close_ */
dd_status dd_data_file_open_(dd_data_file *file, const dd_data *data, const char *path,
                             dd_error *error);
/* Reads exactly `bytes` bytes.  errors  DD_ERR_DATA, the message says where reading ended */
dd_status dd_data_file_read_(dd_data_file *file, const dd_data *data, void *to, size_t bytes,
                             dd_error *error);
void dd_data_file_close_(dd_data_file *file);

#endif
