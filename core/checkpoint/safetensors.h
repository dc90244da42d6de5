/* SPDX-License-Identifier: MIT
 * The safetensors container: 8 bytes with the header's length, a header in JSON that names every
 * tensor's type, shape and place, then the tensors' bytes. Reads and writes containers of any
 * tensors; knows nothing of models. Believes nothing that a file says: lengths are multiplied with
 * overflow checks, and tensors must tile the bytes behind the header exactly, without gap or
 * overlap, as the format demands. Reads with pread, so that a file that shrinks meanwhile gives an
 * error. source  https://huggingface.co/docs/safetensors, "Format" */
#ifndef DD_SAFETENSORS_H
#define DD_SAFETENSORS_H

#include "input_file.h"

#define DD_SAFETENSORS_DIMS_MAX 8
/* Bytes of a header that are read: room for 100,000 tensors. The format allows 100,000,000, whose
 * parsed form could take gigabytes. */
#define DD_SAFETENSORS_HEADER_MAX (UINT64_C(1) << 24)

typedef enum dd_dtype {
    DD_DTYPE_F32,
    DD_DTYPE_F16,
    DD_DTYPE_BF16,
    DD_DTYPE_F64,
    DD_DTYPE_OTHER /* one that the format knows and dodeca does not read: 8-bit floats, integers, …
                    */
} dd_dtype;

typedef struct dd_safetensor {
    const char *name;
    dd_dtype dtype;
    const char *dtype_name; /* as the file says it: "F32" */
    uint32_t n_dims;        /* 0: one element */
    uint64_t dim[DD_SAFETENSORS_DIMS_MAX];
    uint64_t offset; /* of its first byte from the file's begin */
    uint64_t bytes;
} dd_safetensor;

/* ---- Reading ---- */

typedef struct dd_safetensors dd_safetensors;

/* owns     *out on success, released by dd_safetensors_close; names live as long
 * errors   DD_ERR_DATA: cannot be opened, or is no such container; the message names file, offset
 *          and expectation. DD_ERR_MEMORY                                                       */
dd_status dd_safetensors_open(const char *path, dd_safetensors **out, dd_error *error);
void dd_safetensors_close(dd_safetensors *s); /* NULL allowed */

/* Tensors in the order of their bytes. */
uint32_t dd_safetensors_n(const dd_safetensors *s);
const dd_safetensor *dd_safetensors_at(const dd_safetensors *s, uint32_t i);
/* NULL: there is no tensor of that name. */
const dd_safetensor *dd_safetensors_find(const dd_safetensors *s, const char *name);
/* The value of `key` in __metadata__; NULL: it has none. */
const char *dd_safetensors_metadata(const dd_safetensors *s, const char *key);

/* Goes through __metadata__ in the file's order: after `at`, NULL for the first.
 * returns  where it is, for the next call; NULL: there are no more, *key and *value as before   */
void *dd_safetensors_metadata_next(const dd_safetensors *s, void *at, const char **key,
                                   const char **value);
/* The file, to read tensors from at their offsets. */
const dd_input_file *dd_safetensors_file(const dd_safetensors *s);

/* Bytes [first, first + bytes) of a tensor.  requires they are inside it
 * errors   DD_ERR_DATA: the file has shrunk, or cannot be read                               */
dd_status dd_safetensors_read(const dd_safetensors *s, const dd_safetensor *tensor, uint64_t first,
                              size_t bytes, void *out, dd_error *error);

/* ---- Writing ---- */

typedef struct dd_safetensors_pair {
    const char *key, *value;
} dd_safetensors_pair;

/* Length and header of a container, for the tensors laid end to end in this order: name, dtype,
 * n_dims and dim are read; offset and bytes are written: offset counts from the file's begin. The
 * header is padded with blanks to a multiple of 64 bytes, length included, and its size depends on
 * names, shapes and the *lengths* of values alone: so a header whose checksums are not yet known
 * may be laid out first and written last.
 * owns     *out, *size bytes, released by dd_free of platform.h
 * errors   DD_ERR_ARGUMENT: a name twice, too many bytes; DD_ERR_MEMORY                       */
dd_status dd_safetensors_header(dd_safetensor *tensor, uint32_t n, const dd_safetensors_pair *pair,
                                uint32_t n_pairs, char **out, size_t *size, dd_error *error);

#endif
