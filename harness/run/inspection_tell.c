/* SPDX-License-Identifier: MIT
 * An inspection in words and as JSON. */
#include "inspection.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell_body.h"

enum { HEAD = 13 }; /* columns for what a value is of */

/* What the metadata of a checkpoint says besides its model, which is told from its tensors' shapes
 * too, and checksums, which are verified already. */
static bool is_setting(const dd_inspection *in, const char *key)
{
    static const char *const model[] = {"L", "NH", "C", "V", "T", DD_CHECKPOINT_KEY};
    static const char checksum[] = "xxh3-128";
    bool told = strncmp(key, checksum, sizeof checksum - 1) == 0;
    for (size_t i = 0; i < sizeof model / sizeof *model; i++)
        told = told || strcmp(key, model[i]) == 0;
    return !in->checkpoint || !told;
}

/* Reals are kept as hexadecimal floats, so that no bit is lost; people read the decimal. */
static const char *readable(const char *value, char room[32])
{
    const bool real = strncmp(value, "0x", 2) == 0 || strncmp(value, "-0x", 3) == 0;
    if (real)
        (void)snprintf(room, 32, "%.10g", strtod(value, NULL));
    return real ? room : value;
}

static void dims_text(const uint64_t *dim, uint32_t n, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, "(");
    for (uint32_t d = 0; d < n; d++)
        at += (size_t)snprintf(text + at, room - at, d ? ", %" PRIu64 : "%" PRIu64, dim[d]);
    (void)snprintf(text + at, room - at, ")");
}

/* ---- For people ---- */

/* Names and values from files may hold what is no part of a line. */
static void print_text(const char *text)
{
    for (; *text; text++)
        putchar(iscntrl((unsigned char)*text) ? '?' : *text);
}

static void print_head(const char *key, const char *value)
{
    print_text(key);
    printf("%*s ", strlen(key) < HEAD ? (int)(HEAD - strlen(key)) : 0, "");
    print_text(value);
    putchar('\n');
}

static void print_metadata(const dd_inspection *in)
{
    const char *key, *value;
    char room[32];
    for (void *at = NULL; (at = dd_safetensors_metadata_next(in->container, at, &key, &value));)
        if (is_setting(in, key))
            print_head(key, in->checkpoint ? readable(value, room) : value);
}

static void print_tensor(const char *name, const dd_inspected_tensor *t)
{
    char dims[80], hash[33];
    dims_text(t->dim, t->n_dims, dims, sizeof dims);
    dd_hash_text(t->hash, hash);
    printf("%-9s %-18s %11.4g %11.4g %11.4g %5" PRIu64 " %5" PRIu64 "  %s\n", name, dims,
           (double)t->min, (double)t->max, t->mean, t->n_nan, t->n_infinite, hash);
}

static void print_model(const dd_inspection *in)
{
    const dd_model_file_info *m = &in->model;
    char text[128], hash[33];
    (void)snprintf(text, sizeof text,
                   "L %" PRIu32 ", NH %" PRIu32 ", C %" PRIu32 ", V %" PRIu32 ", T %" PRIu32,
                   m->shape.L, m->shape.NH, m->shape.C, m->shape.V, m->shape.T_max);
    print_head("format", dd_file_format_name(m->format));
    print_head("model", text);
    if (m->padded_vocabulary != m->shape.V) {
        (void)snprintf(text, sizeof text, "%" PRIu32 " rows of wte", m->padded_vocabulary);
        print_head("padded to", text);
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, m->n_parameters);
    print_head("parameters", text);
    if (in->checkpoint)
        print_metadata(in);
    printf("\n%-9s %-18s %11s %11s %11s %5s %5s  %s\n", "tensor", "shape", "min", "max", "mean",
           "NaN", "Inf", "XXH3-128");
    for (int k = 0; k < DD_N_TENSORS; k++)
        print_tensor(dd_tensor_name((dd_tensor)k), &in->tensor[k]);
    dd_hash_text(in->hash, hash);
    printf("\nweights-hash: %s\n", hash);
}

static void print_container(const dd_inspection *in)
{
    print_head("format", "safetensors");
    print_head("no model", in->why);
    print_metadata(in);
    printf("\n%12s  %-7s %-24s %s\n", "bytes", "type", "shape", "tensor");
    for (uint32_t i = 0; i < dd_safetensors_n(in->container); i++) {
        const dd_safetensor *t = dd_safetensors_at(in->container, i);
        char dims[8 * 22 + 3];
        dims_text(t->dim, t->n_dims, dims, sizeof dims);
        printf("%12" PRIu64 "  %-7s %-24s ", t->bytes, t->dtype_name, dims);
        print_text(t->name);
        putchar('\n');
    }
}

static void print_shard(const dd_inspection *in)
{
    char text[64];
    dd_data_info info;
    dd_data_info_get(in->shard, &info);
    print_head("format", "token shard of llm.c");
    (void)snprintf(text, sizeof text, "%" PRIu64, info.n_tokens);
    print_head("tokens", text);
    (void)snprintf(text, sizeof text, "%" PRIu32, info.largest);
    print_head("largest", text);
    dd_hash_text(info.hash, text);
    print_head("data-hash", text);
}

void dd_inspection_print(const dd_inspection *in)
{
    print_head("file", in->path);
    if (in->kind == DD_INSPECTED_MODEL)
        print_model(in);
    else if (in->kind == DD_INSPECTED_CONTAINER)
        print_container(in);
    else
        print_shard(in);
}

/* ---- As JSON ---- */

static json_t *text_json(const char *text)
{
    json_t *out = json_string(text);
    return out ? out : json_string("(not UTF-8)"); /* a path may be anything */
}

static json_t *hash_json(const uint8_t hash[16])
{
    char text[33];
    dd_hash_text(hash, text);
    return json_string(text);
}

static json_t *number_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *dims_json(const uint64_t *dim, uint32_t n)
{
    json_t *out = json_array();
    for (uint32_t d = 0; d < n; d++)
        (void)json_array_append_new(out, json_integer((json_int_t)dim[d]));
    return out;
}

static json_t *metadata_json(const dd_inspection *in)
{
    json_t *out = json_object();
    const char *key, *value;
    for (void *at = NULL; (at = dd_safetensors_metadata_next(in->container, at, &key, &value));)
        if (is_setting(in, key))
            (void)json_object_set_new(out, key, json_string(value));
    return out;
}

static void add_model(json_t *o, const dd_inspection *in)
{
    const dd_model_file_info *m = &in->model;
    json_t *tensors = json_array();
    for (int k = 0; k < DD_N_TENSORS; k++) {
        const dd_inspected_tensor *t = &in->tensor[k];
        (void)json_array_append_new(
            tensors,
            json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "name",
                      dd_tensor_name((dd_tensor)k), "shape", dims_json(t->dim, t->n_dims), "min",
                      number_json((double)t->min), "max", number_json((double)t->max), "mean",
                      number_json(t->mean), "nan", (json_int_t)t->n_nan, "inf",
                      (json_int_t)t->n_infinite, "hash", hash_json(t->hash)));
    }
    const dd_shape *s = &m->shape;
    (void)json_object_set_new(o, "format", json_string(dd_file_format_name(m->format)));
    (void)json_object_set_new(o, "model",
                              json_pack("{s:I, s:I, s:I, s:I, s:I}", "L", (json_int_t)s->L, "NH",
                                        (json_int_t)s->NH, "C", (json_int_t)s->C, "V",
                                        (json_int_t)s->V, "T", (json_int_t)s->T_max));
    (void)json_object_set_new(o, "padded_vocabulary", json_integer(m->padded_vocabulary));
    (void)json_object_set_new(o, "parameters", json_integer((json_int_t)m->n_parameters));
    (void)json_object_set_new(o, "weights_hash", hash_json(in->hash));
    (void)json_object_set_new(o, "tensors", tensors);
    if (in->checkpoint) {
        (void)json_object_set_new(o, "step", json_integer((json_int_t)m->step));
        (void)json_object_set_new(o, "settings", metadata_json(in));
    }
}

static void add_container(json_t *o, const dd_inspection *in)
{
    json_t *tensors = json_array();
    for (uint32_t i = 0; i < dd_safetensors_n(in->container); i++) {
        const dd_safetensor *t = dd_safetensors_at(in->container, i);
        (void)json_array_append_new(tensors,
                                    json_pack("{s:s, s:s, s:o, s:I}", "name", t->name, "type",
                                              t->dtype_name, "shape", dims_json(t->dim, t->n_dims),
                                              "bytes", (json_int_t)t->bytes));
    }
    (void)json_object_set_new(o, "format", json_string("safetensors"));
    (void)json_object_set_new(o, "no_model", text_json(in->why));
    (void)json_object_set_new(o, "metadata", metadata_json(in));
    (void)json_object_set_new(o, "tensors", tensors);
}

static void add_shard(json_t *o, const dd_inspection *in)
{
    dd_data_info info;
    dd_data_info_get(in->shard, &info);
    (void)json_object_set_new(o, "format", json_string("token shard"));
    (void)json_object_set_new(o, "tokens", json_integer((json_int_t)info.n_tokens));
    (void)json_object_set_new(o, "largest", json_integer(info.largest));
    (void)json_object_set_new(o, "data_hash", hash_json(info.hash));
}

void dd_inspection_print_json(const dd_inspection *in)
{
    json_t *o = json_pack("{s:o}", "file", text_json(in->path));
    if (in->kind == DD_INSPECTED_MODEL)
        add_model(o, in);
    else if (in->kind == DD_INSPECTED_CONTAINER)
        add_container(o, in);
    else
        add_shard(o, in);
    if (!o || json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) != 0)
        fputs("{\"error\":\"out of memory\"}", stdout);
    putchar('\n');
    json_decref(o);
}
