/* SPDX-License-Identifier: MIT
 * Writes and reads checkpoints. Bytes go first and their checksums are taken on the way; the
 * header, whose size does not depend on them, is written last. */
#include "checkpoint.h"

#include "checkpoint_text.h"
#include "config.h"
#include "error.h"
#include "hash.h"
#include "input_file.h"
#include "platform.h"
#include "safetensors.h"
#include "tensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VERSION "1"
#define CHECKSUM "xxh3-128" /* a key: of the metadata; with a dot and a tensor's name: of that */
#define PIECE ((size_t)1 << 18) /* bytes that are read, hashed and written at once */

enum {
    N_TENSORS = DD_CHECKPOINT_ARRAYS * DD_N_TENSORS,
    /* metadata in this order */
    AT_VERSION = 0,
    AT_FIELDS,
    AT_DATA = AT_FIELDS + DD_CHECKPOINT_FIELDS,
    AT_SUMS,
    AT_CHECKSUM = AT_SUMS + N_TENSORS,
    N_PAIRS
};

/* Names of a container's parts, the same in every checkpoint, and its values as texts. */
typedef struct head {
    char name[N_TENSORS][24], sum_key[N_TENSORS][32];
    dd_safetensor tensor[N_TENSORS];
    dd_safetensors_pair pair[N_PAIRS];
    char text[N_PAIRS][DD_CHECKPOINT_FIELD_TEXT]; /* the values, when written; not of `data` */
} head;

struct dd_checkpoint {
    dd_safetensors *file;
    char *path, *data;
    dd_checkpoint_info info;
    const dd_safetensor *tensor[N_TENSORS];
    uint8_t sum[N_TENSORS][16];
};

/* ---- Names and shapes ---- */

static void name_all(head *h)
{
    static const char *const array[DD_CHECKPOINT_ARRAYS] = {"weights", "adam_m", "adam_v"};
    h->pair[AT_VERSION].key = DD_CHECKPOINT_KEY;
    for (uint32_t i = 0; i < DD_CHECKPOINT_FIELDS; i++)
        h->pair[AT_FIELDS + i].key = dd_checkpoint_field_name(i);
    h->pair[AT_DATA].key = "data";
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        (void)snprintf(h->name[i], sizeof h->name[i], "%s.%s", array[i / DD_N_TENSORS],
                       dd_tensor_name(i % DD_N_TENSORS));
        (void)snprintf(h->sum_key[i], sizeof h->sum_key[i], CHECKSUM ".%s", h->name[i]);
        h->pair[AT_SUMS + i].key = h->sum_key[i];
    }
    h->pair[AT_CHECKSUM].key = CHECKSUM;
}

static void shape_all(const dd_layout *layout, head *h)
{
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        dd_safetensor *t = &h->tensor[i];
        *t = (dd_safetensor){.name = h->name[i], .dtype = DD_DTYPE_F32, .dtype_name = "F32"};
        t->n_dims = dd_layout_dims(layout, i % DD_N_TENSORS, t->dim);
    }
}

/* Of all pairs but the checksum's own. */
static void sum_metadata(const head *h, dd_hasher *hasher, uint8_t sum[16])
{
    for (uint32_t i = 0; i < AT_CHECKSUM; i++) {
        const dd_safetensors_pair *pair = &h->pair[i];
        dd_hasher_add(hasher, pair->key, strlen(pair->key));
        dd_hasher_add(hasher, "=", 1);
        dd_hasher_add(hasher, pair->value, strlen(pair->value));
        dd_hasher_add(hasher, "\n", 1);
    }
    dd_hasher_take(hasher, sum);
}

/* ---- Writing ---- */

static dd_status write_tensor(dd_whole_file *file, const dd_safetensor *tensor, size_t first,
                              dd_checkpoint_array array, dd_checkpoint_source *read, void *user,
                              void *piece, dd_hasher *hasher, dd_error *error)
{
    for (uint64_t done = 0; done < tensor->bytes;) {
        const uint64_t left = tensor->bytes - done;
        const size_t n = left < PIECE ? (size_t)left : PIECE;
        read(user, array, first + done, n, piece);
        dd_hasher_add(hasher, piece, n);
        const dd_status st = dd_whole_file_write(file, tensor->offset + done, piece, n, error);
        if (st)
            return st;
        done += n;
    }
    return DD_OK;
}

/* Values of the metadata; checksums are still 0. */
static void fill(head *h, const dd_checkpoint_info *info, const char *data)
{
    const uint8_t none[16] = {0};
    for (uint32_t i = 0; i < N_PAIRS; i++)
        h->pair[i].value = h->text[i];
    strcpy(h->text[AT_VERSION], VERSION);
    for (uint32_t i = 0; i < DD_CHECKPOINT_FIELDS; i++)
        dd_checkpoint_field_write(info, i, h->text[AT_FIELDS + i]);
    h->pair[AT_DATA].value = data;
    for (uint32_t i = AT_SUMS; i < N_PAIRS; i++)
        dd_checkpoint_hash_write(none, h->text[i]);
}

/* Lays the header out, writes the tensors where it says, and the header. */
static dd_status write_all(dd_whole_file *file, const dd_layout *layout, head *h,
                           dd_checkpoint_source *read, void *user, void *piece, dd_hasher *hasher,
                           dd_error *error)
{
    char *text = NULL;
    size_t size = 0;
    dd_status st =
        dd_safetensors_header(h->tensor, N_TENSORS, h->pair, N_PAIRS, &text, &size, error);
    dd_free(text);
    for (uint32_t i = 0; i < N_TENSORS && !st; i++) {
        uint8_t sum[16];
        st =
            write_tensor(file, &h->tensor[i], layout->offset[i % DD_N_TENSORS] * sizeof(float),
                         (dd_checkpoint_array)(i / DD_N_TENSORS), read, user, piece, hasher, error);
        dd_hasher_take(hasher, sum);
        dd_checkpoint_hash_write(sum, h->text[AT_SUMS + i]);
    }
    if (st)
        return st;
    uint8_t sum[16];
    sum_metadata(h, hasher, sum);
    dd_checkpoint_hash_write(sum, h->text[AT_CHECKSUM]);
    const size_t laid_out = size;
    st = dd_safetensors_header(h->tensor, N_TENSORS, h->pair, N_PAIRS, &text, &size, error);
    if (st)
        return st;
    assert(size == laid_out);
    (void)laid_out;
    st = dd_whole_file_write(file, 0, text, size, error);
    dd_free(text);
    return st;
}

dd_status dd_checkpoint_write(dd_whole_file *file, const dd_checkpoint_info *info,
                              dd_checkpoint_source *read, void *user, dd_error *error)
{
    dd_layout layout;
    dd_layout_make(&info->config.shape, &layout);
    head *h = dd_alloc(sizeof *h);
    char *data = dd_checkpoint_spec_write(info->data);
    void *piece = dd_alloc(PIECE);
    dd_hasher *hasher = dd_hasher_open();
    dd_status st = h && data && piece && hasher
                       ? DD_OK
                       : dd_error_set(error, DD_ERR_MEMORY, "out of memory for a checkpoint");
    if (!st) {
        name_all(h);
        shape_all(&layout, h);
        fill(h, info, data);
        st = write_all(file, &layout, h, read, user, piece, hasher, error);
    }
    dd_hasher_close(hasher);
    dd_free(piece);
    dd_free(data);
    dd_free(h);
    return st;
}

/* ---- Opening ---- */

static dd_status refuse(const dd_checkpoint *c, const char *what, const char *want, dd_error *error)
{
    return dd_error_set(error, DD_ERR_DATA, "checkpoint " DD_PATH_FORMAT ": %s; %s", c->path, what,
                        want);
}

static dd_status read_metadata(dd_checkpoint *c, head *h, dd_error *error)
{
    char what[160];
    const char *version = dd_safetensors_metadata(c->file, DD_CHECKPOINT_KEY);
    if (!version)
        return refuse(c, "there is no \"" DD_CHECKPOINT_KEY "\" in its metadata",
                      "it is another kind of safetensors file", error);
    if (strcmp(version, VERSION) != 0) {
        (void)snprintf(what, sizeof what, "its version is \"%.32s\"", version);
        return refuse(c, what, "this build knows " VERSION, error);
    }
    for (uint32_t i = 0; i < N_PAIRS; i++) {
        h->pair[i].value = dd_safetensors_metadata(c->file, h->pair[i].key);
        if (h->pair[i].value)
            continue;
        (void)snprintf(what, sizeof what, "\"%s\" is missing from its metadata", h->pair[i].key);
        return refuse(c, what, "every checkpoint has it: the file is damaged", error);
    }
    dd_hasher *hasher = dd_hasher_open();
    if (!hasher)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory for checkpoint " DD_PATH_FORMAT,
                            c->path);
    uint8_t sum[16];
    char text[DD_CHECKPOINT_FIELD_TEXT];
    sum_metadata(h, hasher, sum);
    dd_hasher_close(hasher);
    dd_checkpoint_hash_write(sum, text);
    if (strcmp(text, h->pair[AT_CHECKSUM].value) != 0)
        return refuse(c, "the checksum of its metadata does not match", "the file is damaged",
                      error);
    return DD_OK;
}

/* The first value that cannot be read, N_PAIRS if all can. */
static uint32_t parse_values(dd_checkpoint *c, const head *h)
{
    for (uint32_t i = 0; i < DD_CHECKPOINT_FIELDS; i++)
        if (!dd_checkpoint_field_read(&c->info, i, h->pair[AT_FIELDS + i].value))
            return AT_FIELDS + i;
    for (uint32_t i = 0; i < N_TENSORS; i++)
        if (!dd_checkpoint_hash_read(h->pair[AT_SUMS + i].value, c->sum[i]))
            return AT_SUMS + i;
    return dd_checkpoint_spec_read(h->pair[AT_DATA].value, c->data) ? N_PAIRS : AT_DATA;
}

/* With the checksum right a value can be wrong only where another program wrote it. */
static dd_status read_values(dd_checkpoint *c, const head *h, dd_error *error)
{
    char what[160];
    dd_config_default(&c->info.config);
    c->data = dd_alloc(strlen(h->pair[AT_DATA].value) + 1);
    if (!c->data)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory for checkpoint " DD_PATH_FORMAT,
                            c->path);
    c->info.data = c->data;
    const uint32_t bad = parse_values(c, h);
    if (bad < N_PAIRS) {
        (void)snprintf(what, sizeof what, "\"%s\" is \"%.64s\"", h->pair[bad].key,
                       h->pair[bad].value);
        return refuse(c, what, "that is no value of it in the form that checkpoints have", error);
    }
    if (!dd_shape_n_parameters(&c->info.config.shape) || !c->info.config.seq ||
        c->info.updates > c->info.step)
        return refuse(c, "its settings contradict each other", "no training has such", error);
    return DD_OK;
}

static dd_status find_tensors(dd_checkpoint *c, head *h, dd_error *error)
{
    char what[160];
    dd_layout layout;
    dd_layout_make(&c->info.config.shape, &layout);
    shape_all(&layout, h);
    if (dd_safetensors_n(c->file) != N_TENSORS) {
        (void)snprintf(what, sizeof what, "it holds %" PRIu32 " tensors",
                       dd_safetensors_n(c->file));
        return refuse(c, what, "weights and moments of GPT-2 are 48", error);
    }
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        const dd_safetensor *want = &h->tensor[i];
        const dd_safetensor *got = c->tensor[i] = dd_safetensors_find(c->file, want->name);
        bool fits = got && got->dtype == want->dtype && got->n_dims == want->n_dims;
        for (uint32_t d = 0; fits && d < want->n_dims; d++)
            fits = got->dim[d] == want->dim[d];
        if (!fits) {
            (void)snprintf(what, sizeof what, "tensor %s is %s", want->name,
                           got ? "of another type or shape than its settings say" : "missing");
            return refuse(c, what, "the file is damaged", error);
        }
    }
    return DD_OK;
}
_Static_assert(N_TENSORS == 48, "as the message says");

dd_status dd_checkpoint_open(const char *path, dd_checkpoint **out, dd_error *error)
{
    if (!path || !out)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_checkpoint_open: path and out must not be NULL");
    *out = NULL;
    head *h = dd_alloc(sizeof *h);
    dd_checkpoint *c = dd_alloc(sizeof *c);
    if (!h || !c || !(c->path = dd_alloc(strlen(path) + 1))) {
        dd_free(h);
        dd_checkpoint_close(c);
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory for checkpoint " DD_PATH_FORMAT,
                            path);
    }
    strcpy(c->path, path);
    name_all(h);
    dd_status st = dd_safetensors_open(path, &c->file, error);
    if (!st)
        st = read_metadata(c, h, error);
    if (!st)
        st = read_values(c, h, error);
    if (!st)
        st = find_tensors(c, h, error);
    dd_free(h);
    if (st)
        dd_checkpoint_close(c);
    else
        *out = c;
    return st;
}

void dd_checkpoint_close(dd_checkpoint *c)
{
    if (!c)
        return;
    dd_safetensors_close(c->file);
    dd_free(c->data);
    dd_free(c->path);
    dd_free(c);
}

void dd_checkpoint_info_get(const dd_checkpoint *c, dd_checkpoint_info *out)
{
    *out = c->info;
}

/* ---- Reading ---- */

/* Reads a tensor, into `out` or, where that is NULL, through `piece`, and checks it. */
static dd_status read_tensor(const dd_checkpoint *c, uint32_t i, char *out, char *piece,
                             dd_hasher *hasher, dd_error *error)
{
    const dd_safetensor *tensor = c->tensor[i];
    for (uint64_t done = 0; done < tensor->bytes;) {
        const uint64_t left = tensor->bytes - done;
        const size_t n = left < PIECE ? (size_t)left : PIECE;
        char *to = out ? out + done : piece;
        const dd_status st = dd_safetensors_read(c->file, tensor, done, n, to, error);
        if (st)
            return st;
        dd_hasher_add(hasher, to, n);
        done += n;
    }
    uint8_t sum[16];
    dd_hasher_take(hasher, sum);
    if (memcmp(sum, c->sum[i], sizeof sum) == 0)
        return DD_OK;
    return dd_error_set(error, DD_ERR_DATA,
                        "checkpoint " DD_PATH_FORMAT ": the checksum of %s, %" PRIu64
                        " bytes from byte %" PRIu64 " on, does not match; the file is damaged",
                        c->path, tensor->name, tensor->bytes, tensor->offset);
}

static dd_status read_tensors(const dd_checkpoint *c, uint32_t first, uint32_t last, float *out,
                              dd_error *error)
{
    dd_layout layout;
    dd_layout_make(&c->info.config.shape, &layout);
    char *piece = out ? NULL : dd_alloc(PIECE);
    dd_hasher *hasher = dd_hasher_open();
    dd_status st = hasher && (out || piece)
                       ? DD_OK
                       : dd_error_set(error, DD_ERR_MEMORY,
                                      "out of memory for checkpoint " DD_PATH_FORMAT, c->path);
    for (uint32_t i = first; i < last && !st; i++) {
        char *to = out ? (char *)(out + layout.offset[i % DD_N_TENSORS]) : NULL;
        st = read_tensor(c, i, to, piece, hasher, error);
    }
    dd_hasher_close(hasher);
    dd_free(piece);
    return st;
}

dd_status dd_checkpoint_read(const dd_checkpoint *c, dd_checkpoint_array array, float *out,
                             dd_error *error)
{
    const uint32_t first = array * DD_N_TENSORS;
    return read_tensors(c, first, first + DD_N_TENSORS, out, error);
}

dd_status dd_checkpoint_verify(const dd_checkpoint *c, dd_error *error)
{
    if (!c)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_checkpoint_verify: checkpoint must not be NULL");
    return read_tensors(c, 0, N_TENSORS, NULL, error);
}

dd_status dd_checkpoint_fits(const dd_checkpoint *c, const dd_config *config, const dd_data *data,
                             dd_error *error)
{
    dd_data_info of_data;
    dd_data_info_get(data, &of_data);
    dd_checkpoint_info wanted = {.config = *config, .n_tokens = of_data.n_tokens};
    wanted.config.seq = dd_config_seq(config);
    memcpy(wanted.data_hash, of_data.hash, sizeof wanted.data_hash);
    dd_checkpoint_difference d;
    if (!dd_checkpoint_differs(&c->info, &wanted, &d))
        return DD_OK;
    return dd_error_set(error, DD_ERR_ARGUMENT,
                        "checkpoint " DD_PATH_FORMAT
                        ": %s is %s there and %s here; it goes on only with the "
                        "settings and data it was begun with",
                        c->path, d.name, d.saved, d.wanted);
}
