/* SPDX-License-Identifier: MIT
 * Finds out what a file is and goes through its values. */
#include "inspection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "hash.h"
#include "input_file.h"
#include "model_load.h"
#include "tokens.h"

/* ---- Weights ---- */

static void measure(const float *w, dd_inspected_tensor *t)
{
    double sum = 0;
    uint64_t n_finite = 0;
    t->min = t->max = NAN;
    for (uint64_t i = 0; i < t->n; i++) {
        if (isnan(w[i])) {
            t->n_nan++;
        } else if (isinf(w[i])) {
            t->n_infinite++;
        } else {
            t->min = n_finite == 0 || w[i] < t->min ? w[i] : t->min;
            t->max = n_finite == 0 || w[i] > t->max ? w[i] : t->max;
            sum += (double)w[i];
            n_finite++;
        }
    }
    t->mean = n_finite ? sum / (double)n_finite : (double)NAN;
    dd_hash128(w, t->n * sizeof *w, t->hash);
}

static dd_status look_at_weights(dd_inspection *in, dd_model_file *file, dd_error *error)
{
    float *weights;
    dd_model_file_info_get(file, &in->model);
    const dd_status st = dd_model_load(file, in->path, &weights, error);
    if (st != DD_OK)
        return st;
    dd_layout layout;
    dd_layout_make(&in->model.shape, &layout);
    for (int k = 0; k < DD_N_TENSORS; k++) {
        dd_inspected_tensor *t = &in->tensor[k];
        t->n = layout.offset[k + 1] - layout.offset[k];
        t->n_dims = dd_layout_dims(&layout, (dd_tensor)k, t->dim);
        measure(weights + layout.offset[k], t);
    }
    dd_hash128(weights, in->model.n_parameters * sizeof *weights, in->hash);
    free(weights);
    return DD_OK;
}

static dd_status look_at_model(dd_inspection *in, dd_model_file *file, dd_error *error)
{
    dd_status st = look_at_weights(in, file, error);
    if (st != DD_OK || in->model.format != DD_FILE_CHECKPOINT)
        return st;
    if ((st = dd_checkpoint_open(in->path, &in->checkpoint, error)) != DD_OK ||
        (st = dd_checkpoint_verify(in->checkpoint, error)) != DD_OK)
        return st;
    return dd_safetensors_open(in->path, &in->container, error);
}

/* ---- What it is ---- */

static bool is_shard(const char *path)
{
    dd_input_file file;
    int32_t magic = 0;
    if (dd_input_file_open(path, &file, NULL) != DD_OK)
        return false;
    const bool read = file.bytes >= sizeof magic &&
                      dd_input_file_read(&file, 0, &magic, sizeof magic, NULL) == DD_OK;
    dd_input_file_close(&file);
    return read && magic == DD_SHARD_MAGIC;
}

static dd_status look_at_shard(dd_inspection *in, dd_error *error)
{
    static const char scheme[] = "tokens:";
    char *spec = malloc(sizeof scheme + strlen(in->path));
    if (!spec)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory");
    strcpy(spec, scheme);
    strcat(spec, in->path);
    in->kind = DD_INSPECTED_SHARD;
    const dd_status st = dd_data_open(spec, 0, &in->shard, error);
    free(spec);
    return st;
}

/* A container that is no model is worth a look, unless it says that it is a checkpoint. */
static dd_status look_at_container(dd_inspection *in, dd_error *error)
{
    dd_safetensors *container;
    if (dd_safetensors_open(in->path, &container, NULL) != DD_OK)
        return DD_ERR_DATA;
    if (dd_safetensors_metadata(container, DD_CHECKPOINT_KEY)) {
        dd_safetensors_close(container);
        return DD_ERR_DATA;
    }
    in->kind = DD_INSPECTED_CONTAINER;
    in->container = container;
    memcpy(in->why, error->message, sizeof in->why);
    return DD_OK;
}

static dd_status look(dd_inspection *in, dd_error *error)
{
    if (is_shard(in->path))
        return look_at_shard(in, error);
    dd_model_file *file;
    dd_status st = dd_model_file_open(in->path, &file, error);
    if (st == DD_ERR_DATA)
        return look_at_container(in, error);
    if (st != DD_OK)
        return st;
    st = look_at_model(in, file, error);
    dd_model_file_close(file);
    return st;
}

dd_status dd_inspection_begin(const char *path, dd_inspection *out, dd_error *error)
{
    *out = (dd_inspection){.path = path, .kind = DD_INSPECTED_MODEL};
    const dd_status st = look(out, error);
    if (st != DD_OK)
        dd_inspection_end(out);
    return st;
}

void dd_inspection_end(dd_inspection *in)
{
    dd_checkpoint_close(in->checkpoint);
    dd_safetensors_close(in->container);
    dd_data_close(in->shard);
    *in = (dd_inspection){.path = NULL};
}
