/* SPDX-License-Identifier: MIT
 * Writes records. Every line is one write(), so that a run that is killed leaves whole lines, and a
 * file that exists is never touched. */
#include "run_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_info.h"
#include "cell_body.h"
#include "hash.h"
#include "json_line.h"

/* ---- Hashes ---- */

void dd_fingerprint_make(const dd_layout *layout, const float *weights, dd_fingerprint *out)
{
    dd_hash128(weights, dd_layout_size(layout) * sizeof *weights, out->whole);
    for (int k = 0; k < DD_N_TENSORS; k++)
        dd_hash128(weights + layout->offset[k],
                   (layout->offset[k + 1] - layout->offset[k]) * sizeof *weights, out->tensor[k]);
}

bool dd_fingerprint_equal(const dd_fingerprint *a, const dd_fingerprint *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- Lines ---- */

struct dd_recorder {
    int fd;
    char *path;
    dd_layout layout;
};

/* "hash" and "tensor_hashes". */
static bool add_fingerprint(json_t *line, const dd_fingerprint *f)
{
    char text[33];
    json_t *tensors = json_array();
    bool ok = tensors != NULL;
    for (int k = 0; k < DD_N_TENSORS && ok; k++) {
        dd_hash_text(f->tensor[k], text);
        ok = json_array_append_new(tensors, json_string(text)) == 0;
    }
    dd_hash_text(f->whole, text);
    return json_object_set_new(line, "hash", json_string(text)) == 0 &&
           json_object_set_new(line, "tensor_hashes", tensors) == 0 && ok;
}

/* Writes the line and releases it; NULL, or not good: there was no memory for it. */
static dd_status write_line(dd_recorder *r, json_t *line, bool good, dd_error *error)
{
    char why[DD_MESSAGE_MAX];
    if (!good) {
        json_decref(line);
        line = NULL;
    }
    const dd_status st = dd_json_line_write(r->fd, line, why);
    if (st != DD_OK)
        (void)snprintf(error->message, sizeof error->message, "record %.200s: %.280s", r->path,
                       why);
    return st;
}

/* ---- The head ---- */

/* A file's spec with its absolute path, others as they are. */
static void absolute(const char *used, char spec[DD_SPEC_MAX])
{
    char path[DD_RECORD_PATH];
    const char *colon = strchr(used, ':');
    strcpy(spec, used);
    if (!colon || !realpath(colon + 1, path))
        return;
    const size_t scheme = (size_t)(colon + 1 - used);
    if (scheme + strlen(path) < DD_SPEC_MAX)
        strcpy(spec + scheme, path);
}

json_t *dd_record_settings_json(const dd_settings *s, const char *used, uint32_t workers)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    json_t *out = json_object();
    for (size_t k = 0; k < n && out; k++) {
        char value[DD_SPEC_MAX];
        dd_settings_get(s, keys[k].name, value);
        if (strcmp(keys[k].name, "data") == 0)
            absolute(used, value);
        if (strcmp(keys[k].name, "workers") == 0 && s->config.depth != DD_DEPTH_AUTO)
            (void)snprintf(value, sizeof value, "%" PRIu32, workers);
        if (keys[k].scenario_only || !value[0] || strcmp(keys[k].name, "data-else") == 0)
            continue;
        if (json_object_set_new(out, keys[k].name, json_string(value)) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

static json_t *tensor_names(void)
{
    json_t *out = json_array();
    for (int k = 0; k < DD_N_TENSORS; k++)
        (void)json_array_append_new(out, json_string(dd_tensor_name((dd_tensor)k)));
    return out;
}

static dd_status write_head(dd_recorder *r, const dd_settings *s, const dd_subject_api *subject,
                            void *self, const dd_data *data, const char *used, uint64_t done,
                            dd_error *error)
{
    dd_data_info info;
    dd_trainer_info about;
    dd_fingerprint start;
    char path[DD_RECORD_PATH], hash[33], data_hash[33];
    uint64_t n;
    subject->describe(self, &about);
    dd_data_info_get(data, &info);
    dd_hash_text(info.hash, data_hash);
    dd_fingerprint_make(&r->layout, subject->weights(self, &n), &start);
    (void)dd_program_self(path);
    (void)dd_program_hash("/proc/self/exe", hash); /* what runs, whatever lies at the path by now */
    json_t *line = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:I, s:s, s:s, s:o}", "dodeca_record",
        DD_RECORD_VERSION, "version", dd_build.version, "commit", dd_build.commit, "compiler",
        dd_build.compiler, "flags", dd_build.flags, "program", path, "program_hash", hash,
        "settings", dd_record_settings_json(s, used, about.workers), "data_hash", data_hash,
        "workers", (json_int_t)about.workers, "kernels", about.kernels ? about.kernels : "",
        "reduce", subject->spheres ? dd_reduce_name(about.reduce) : "", "tensors", tensor_names());
    bool packed = line && add_fingerprint(line, &start);
    if (packed && done)
        packed = json_object_set_new(line, "began", json_integer((json_int_t)done)) == 0;
    return write_line(r, line, packed, error);
}

/* ---- Interface ---- */

dd_status dd_recorder_open(const char *path, const dd_settings *settings,
                           const dd_subject_api *subject, void *self, const dd_data *data,
                           const char *used, uint64_t done, dd_recorder **out, dd_error *error)
{
    dd_recorder *r = calloc(1, sizeof *r);
    if (!r || !(r->path = strdup(path))) {
        free(r);
        (void)snprintf(error->message, sizeof error->message, "out of memory for the record");
        return DD_ERR_MEMORY;
    }
    dd_layout_make(&settings->config.shape, &r->layout);
    r->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    dd_status st = DD_ERR_DATA;
    if (r->fd >= 0)
        st = write_head(r, settings, subject, self, data, used, done, error);
    else
        (void)snprintf(error->message, sizeof error->message, "record %.200s: %s", path,
                       errno == EEXIST ? "there is such a file, and none is overwritten"
                                       : strerror(errno));
    if (st != DD_OK) {
        dd_recorder_close(r);
        return st;
    }
    *out = r;
    return DD_OK;
}

dd_status dd_recorder_step(dd_recorder *r, const dd_step *step, const float *weights,
                           dd_error *error)
{
    dd_fingerprint after;
    dd_fingerprint_make(&r->layout, weights, &after);
    json_t *line = json_pack("{s:I, s:o, s:o, s:b}", "step", (json_int_t)step->step, "loss",
                             dd_json_number(step->loss), "norm", dd_json_number(step->norm),
                             "discarded", (int)step->discarded);
    return write_line(r, line, line && add_fingerprint(line, &after), error);
}

dd_status dd_recorder_end(dd_recorder *r, dd_status end, uint64_t steps, dd_error *error)
{
    json_t *line = json_pack("{s:s, s:I}", "end", dd_status_name(end), "steps", (json_int_t)steps);
    return write_line(r, line, true, error);
}

void dd_recorder_close(dd_recorder *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    free(r->path);
    free(r);
}
