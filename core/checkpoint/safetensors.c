/* SPDX-License-Identifier: MIT
 * Reads and writes the header of a safetensors container; JSON through jansson. */
#include "safetensors.h"

#include "error.h"
#include "platform.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, ALIGNMENT = 64 };

struct dd_safetensors {
    dd_input_file file;
    json_t *root; /* keeps names and metadata alive */
    dd_safetensor *tensor;
    uint32_t n;
    uint32_t *by_name; /* numbers of tensors, sorted by name */
    const dd_safetensor **sorting;
};

/* ---- Types ---- */

/* clang-format off */
static const struct dtype {
    const char *name;
    uint32_t bits;
    dd_dtype dtype;
} dtypes[] = {
    {"F32", 32, DD_DTYPE_F32},      {"F16", 16, DD_DTYPE_F16},      {"BF16", 16, DD_DTYPE_BF16},
    {"F64", 64, DD_DTYPE_F64},      {"I64", 64, DD_DTYPE_OTHER},    {"U64", 64, DD_DTYPE_OTHER},
    {"I32", 32, DD_DTYPE_OTHER},    {"U32", 32, DD_DTYPE_OTHER},    {"I16", 16, DD_DTYPE_OTHER},
    {"U16", 16, DD_DTYPE_OTHER},    {"I8", 8, DD_DTYPE_OTHER},      {"U8", 8, DD_DTYPE_OTHER},
    {"BOOL", 8, DD_DTYPE_OTHER},    {"C64", 64, DD_DTYPE_OTHER},    {"F8_E5M2", 8, DD_DTYPE_OTHER},
    {"F8_E4M3", 8, DD_DTYPE_OTHER}, {"F8_E8M0", 8, DD_DTYPE_OTHER}, {"F4", 4, DD_DTYPE_OTHER},
    {"F6_E2M3", 6, DD_DTYPE_OTHER}, {"F6_E3M2", 6, DD_DTYPE_OTHER},
};
/* clang-format on */

static const struct dtype *dtype_named(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

/* Bytes of a tensor of this shape.  returns  false: more than 2^64 bits, or no whole bytes */
static bool size_of(const dd_safetensor *t, uint32_t bits, uint64_t *bytes)
{
    uint64_t n = bits;
    for (uint32_t d = 0; d < t->n_dims; d++)
        if (__builtin_mul_overflow(n, t->dim[d], &n))
            return false;
    *bytes = n / 8;
    return n % 8 == 0;
}

/* ---- Reading the header ---- */

static dd_status bad_tensor(const dd_safetensors *s, const char *name, const char *what,
                            dd_error *error)
{
    return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": tensor \"%.80s\": %s", s->file.path,
                        name, what);
}

static dd_status read_dims(const dd_safetensors *s, const json_t *shape, dd_safetensor *t,
                           dd_error *error)
{
    if (!json_is_array(shape))
        return bad_tensor(s, t->name, "\"shape\" must be an array of whole numbers", error);
    if (json_array_size(shape) > DD_SAFETENSORS_DIMS_MAX)
        return bad_tensor(s, t->name, "has more than 8 dimensions", error);
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t d = 0; d < t->n_dims; d++) {
        const json_t *dim = json_array_get(shape, d);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad_tensor(s, t->name, "\"shape\" must be an array of whole numbers", error);
        t->dim[d] = (uint64_t)json_integer_value(dim);
    }
    return DD_OK;
}

static dd_status read_offsets(const dd_safetensors *s, const json_t *offsets, uint64_t data_begin,
                              dd_safetensor *t, dd_error *error)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return bad_tensor(s, t->name, "\"data_offsets\" must be two whole numbers, ascending",
                          error);
    const uint64_t first = (uint64_t)json_integer_value(begin);
    const uint64_t last = (uint64_t)json_integer_value(end);
    if (last > s->file.bytes - data_begin)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": tensor \"%.80s\": ends %" PRIu64
                                           " bytes after the header, the file %" PRIu64
                                           ": it is truncated",
                            s->file.path, t->name, last, s->file.bytes - data_begin);
    t->offset = data_begin + first;
    t->bytes = last - first;
    return DD_OK;
}

static dd_status read_tensor(const dd_safetensors *s, const char *name, const json_t *entry,
                             uint64_t data_begin, dd_safetensor *t, dd_error *error)
{
    *t = (dd_safetensor){.name = name};
    if (!json_is_object(entry) || json_object_size(entry) != 3)
        return bad_tensor(s, name, "must be an object of dtype, shape and data_offsets", error);
    t->dtype_name = json_string_value(json_object_get(entry, "dtype"));
    const struct dtype *type = t->dtype_name ? dtype_named(t->dtype_name) : NULL;
    if (!type)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT
                            ": tensor \"%.80s\": dtype %.40s is none that the format has, like F32",
                            s->file.path, name, t->dtype_name ? t->dtype_name : "(no text)");
    t->dtype = type->dtype;
    dd_status st = read_dims(s, json_object_get(entry, "shape"), t, error);
    if (st == DD_OK)
        st = read_offsets(s, json_object_get(entry, "data_offsets"), data_begin, t, error);
    if (st != DD_OK)
        return st;
    uint64_t bytes;
    if (!size_of(t, type->bits, &bytes))
        return bad_tensor(s, name, "its shape makes no size in bytes that a file can have", error);
    if (bytes != t->bytes)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": tensor \"%.80s\": shape and dtype %s make %" PRIu64
                                           " bytes, data_offsets %" PRIu64,
                            s->file.path, name, t->dtype_name, bytes, t->bytes);
    return DD_OK;
}

static dd_status check_metadata(const dd_safetensors *s, json_t *metadata, dd_error *error)
{
    bool texts = json_is_object(metadata);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) texts = texts && json_is_string(value);
    return texts ? DD_OK
                 : dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": \"__metadata__\" must be an object of texts",
                                s->file.path);
}

/* Every entry but the metadata. */
static dd_status read_tensors(dd_safetensors *s, uint64_t data_begin, dd_error *error)
{
    const size_t room = json_object_size(s->root);
    s->tensor = dd_alloc((room + 1) * sizeof *s->tensor);
    s->by_name = dd_alloc((room + 1) * sizeof *s->by_name);
    s->sorting = dd_alloc((room + 1) * sizeof *s->sorting);
    if (!s->tensor || !s->by_name || !s->sorting)
        return dd_error_set(error, DD_ERR_MEMORY,
                            DD_PATH_FORMAT ": out of memory for %zu names of tensors", s->file.path,
                            room);
    dd_status st = DD_OK;
    const char *name;
    json_t *entry;
    json_object_foreach(s->root, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            st = check_metadata(s, entry, error);
        else if ((st = read_tensor(s, name, entry, data_begin, &s->tensor[s->n], error)) == DD_OK)
            s->n++;
        if (st != DD_OK)
            return st;
    }
    return DD_OK;
}

static int by_place(const void *a, const void *b)
{
    const dd_safetensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) /* empty ones come first, so that they overlap nothing */
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const dd_safetensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void sort(dd_safetensors *s)
{
    qsort(s->tensor, s->n, sizeof *s->tensor, by_place);
    for (uint32_t i = 0; i < s->n; i++)
        s->sorting[i] = &s->tensor[i];
    qsort(s->sorting, s->n, sizeof *s->sorting, by_name);
    for (uint32_t i = 0; i < s->n; i++)
        s->by_name[i] = (uint32_t)(s->sorting[i] - s->tensor);
}

/* From the header's end to the file's, each tensor begins where the one before ends. */
static dd_status check_tiles(const dd_safetensors *s, uint64_t data_begin, dd_error *error)
{
    uint64_t at = data_begin;
    for (uint32_t i = 0; i < s->n; i++) {
        const dd_safetensor *t = &s->tensor[i];
        if (t->offset != at)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": tensor \"%.80s\": begins at byte %" PRIu64
                                               ", but what lies before it ends at byte %" PRIu64
                                               ": tensors must lie end to end",
                                s->file.path, t->name, t->offset, at);
        at += t->bytes;
    }
    if (at != s->file.bytes)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": tensors end at byte %" PRIu64
                                           ", the file at byte %" PRIu64,
                            s->file.path, at, s->file.bytes);
    return DD_OK;
}

static dd_status parse(dd_safetensors *s, const char *header, size_t length, dd_error *error)
{
    json_error_t why;
    s->root = json_loadb(header, length, JSON_REJECT_DUPLICATES, &why);
    /* where it cannot even begin, jansson says nothing */
    if (!s->root && (!why.text[0] || json_error_code(&why) == json_error_out_of_memory))
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory for its header",
                            s->file.path);
    if (!s->root)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": the header is no JSON: byte %d: %.120s", s->file.path,
                            LENGTH_BYTES + why.position, why.text);
    if (!json_is_object(s->root))
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte %d: the header must be a JSON object",
                            s->file.path, LENGTH_BYTES);
    return DD_OK;
}

static dd_status read_header(dd_safetensors *s, dd_error *error)
{
    uint64_t length;
    if (s->file.bytes < LENGTH_BYTES)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": has %" PRIu64 " bytes, a safetensors file begins "
                                           "with 8 for its header's length",
                            s->file.path, s->file.bytes);
    dd_status st = dd_input_file_read(&s->file, 0, &length, sizeof length, error);
    if (st != DD_OK)
        return st;
    if (length > DD_SAFETENSORS_HEADER_MAX)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte 0: a header of %" PRIu64
                                           " bytes: no safetensors file, or one with more than "
                                           "the %" PRIu64 " that are read",
                            s->file.path, length, DD_SAFETENSORS_HEADER_MAX);
    if (length > s->file.bytes - LENGTH_BYTES)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": byte 0: a header of %" PRIu64
                                           " bytes, but only %" PRIu64
                                           " follow: it is truncated, or no safetensors file",
                            s->file.path, length, s->file.bytes - LENGTH_BYTES);
    char *header = dd_alloc(length + 1);
    if (!header)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory for its header",
                            s->file.path);
    st = dd_input_file_read(&s->file, LENGTH_BYTES, header, length, error);
    if (st == DD_OK)
        st = parse(s, header, length, error);
    dd_free(header);
    if (st == DD_OK)
        st = read_tensors(s, LENGTH_BYTES + length, error);
    if (st != DD_OK)
        return st;
    sort(s);
    return check_tiles(s, LENGTH_BYTES + length, error);
}

dd_status dd_safetensors_open(const char *path, dd_safetensors **out, dd_error *error)
{
    dd_safetensors *s = dd_alloc(sizeof *s);
    if (!s)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    dd_status st = dd_input_file_open(path, &s->file, error);
    if (st == DD_OK)
        st = read_header(s, error);
    if (st != DD_OK) {
        dd_safetensors_close(s);
        return st;
    }
    *out = s;
    return DD_OK;
}

void dd_safetensors_close(dd_safetensors *s)
{
    if (!s)
        return;
    json_decref(s->root);
    dd_free(s->tensor);
    dd_free(s->by_name);
    dd_free(s->sorting);
    dd_input_file_close(&s->file);
    dd_free(s);
}

/* ---- What is in it ---- */

uint32_t dd_safetensors_n(const dd_safetensors *s)
{
    return s->n;
}

const dd_safetensor *dd_safetensors_at(const dd_safetensors *s, uint32_t i)
{
    assert(i < s->n);
    return &s->tensor[i];
}

const dd_safetensor *dd_safetensors_find(const dd_safetensors *s, const char *name)
{
    uint32_t low = 0, high = s->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const dd_safetensor *t = &s->tensor[s->by_name[middle]];
        const int order = strcmp(name, t->name);
        if (order == 0)
            return t;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *dd_safetensors_metadata(const dd_safetensors *s, const char *key)
{
    return json_string_value(json_object_get(json_object_get(s->root, "__metadata__"), key));
}

void *dd_safetensors_metadata_next(const dd_safetensors *s, void *at, const char **key,
                                   const char **value)
{
    json_t *metadata = json_object_get(s->root, "__metadata__");
    at = at ? json_object_iter_next(metadata, at) : json_object_iter(metadata);
    if (at) {
        *key = json_object_iter_key(at);
        *value = json_string_value(json_object_iter_value(at));
    }
    return at;
}

const dd_input_file *dd_safetensors_file(const dd_safetensors *s)
{
    return &s->file;
}

dd_status dd_safetensors_read(const dd_safetensors *s, const dd_safetensor *tensor, uint64_t first,
                              size_t bytes, void *out, dd_error *error)
{
    assert(first <= tensor->bytes && bytes <= tensor->bytes - first);
    return dd_input_file_read(&s->file, tensor->offset + first, out, bytes, error);
}

/* ---- Writing the header ---- */

static dd_status bad_header(const char *what, const char *name, dd_error *error)
{
    return dd_error_set(error, DD_ERR_ARGUMENT, "safetensors header: %s \"%.80s\"", what, name);
}

/* The object's entry for one tensor, which lies `at` bytes behind the header. */
static dd_status add_tensor(json_t *root, dd_safetensor *t, uint64_t *at, dd_error *error)
{
    const struct dtype *type = NULL;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == t->dtype && t->dtype != DD_DTYPE_OTHER)
            type = &dtypes[i];
    if (!type || t->n_dims > DD_SAFETENSORS_DIMS_MAX)
        return bad_header("a type or number of dimensions that is not written, of", t->name, error);
    if (json_object_get(root, t->name))
        return bad_header("two tensors named", t->name, error);
    t->dtype_name = type->name;
    t->offset = *at;
    if (!size_of(t, type->bits, &t->bytes) || __builtin_add_overflow(*at, t->bytes, at) ||
        *at > INT64_MAX)
        return bad_header("too many bytes up to", t->name, error);
    json_t *shape = json_array();
    bool whole = true;
    for (uint32_t d = 0; d < t->n_dims; d++)
        whole = json_array_append_new(shape, json_integer((json_int_t)t->dim[d])) == 0 && whole;
    json_t *entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", t->dtype_name, "shape", shape,
                              "data_offsets", (json_int_t)t->offset, (json_int_t)*at);
    if (json_object_set_new(root, t->name, entry) != 0 || !whole)
        return bad_header("out of memory, or no UTF-8, at", t->name, error);
    return DD_OK;
}

static dd_status add_metadata(json_t *root, const dd_safetensors_pair *pair, uint32_t n_pairs,
                              dd_error *error)
{
    json_t *metadata = json_object();
    for (uint32_t i = 0; i < n_pairs; i++)
        if (json_object_get(metadata, pair[i].key) ||
            json_object_set_new(metadata, pair[i].key, json_string(pair[i].value)) != 0) {
            json_decref(metadata);
            return bad_header("a key twice, or no UTF-8:", pair[i].key, error);
        }
    if (json_object_set_new(root, "__metadata__", metadata) != 0)
        return dd_error_set(error, DD_ERR_MEMORY, "safetensors header: out of memory");
    return DD_OK;
}

/* The object as text behind its length, padded with blanks. */
static dd_status dump(const json_t *root, char **out, size_t *size, dd_error *error)
{
    const size_t length = json_dumpb(root, NULL, 0, JSON_COMPACT);
    const size_t whole = (LENGTH_BYTES + length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *text = length ? dd_alloc(whole) : NULL;
    if (!text)
        return dd_error_set(error, DD_ERR_MEMORY, "safetensors header: out of memory");
    const uint64_t padded = whole - LENGTH_BYTES;
    if (padded > DD_SAFETENSORS_HEADER_MAX) {
        dd_free(text);
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "safetensors header: %" PRIu64 " bytes, at most %" PRIu64 " are read",
                            padded, DD_SAFETENSORS_HEADER_MAX);
    }
    memcpy(text, &padded, sizeof padded);
    memset(text + LENGTH_BYTES, ' ', padded);
    (void)json_dumpb(root, text + LENGTH_BYTES, length, JSON_COMPACT);
    *out = text;
    *size = whole;
    return DD_OK;
}

dd_status dd_safetensors_header(dd_safetensor *tensor, uint32_t n, const dd_safetensors_pair *pair,
                                uint32_t n_pairs, char **out, size_t *size, dd_error *error)
{
    json_t *root = json_object();
    dd_status st = n_pairs ? add_metadata(root, pair, n_pairs, error) : DD_OK;
    uint64_t at = 0;
    for (uint32_t i = 0; st == DD_OK && i < n; i++)
        st = add_tensor(root, &tensor[i], &at, error);
    if (st == DD_OK)
        st = dump(root, out, size, error);
    json_decref(root);
    for (uint32_t i = 0; st == DD_OK && i < n; i++)
        tensor[i].offset += *size;
    return st;
}
