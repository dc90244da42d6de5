/* SPDX-License-Identifier: MIT
 * How many heads a GPT-2 has, which its tensors do not tell: from what is written beside them. Also
 * refuses a config.json that makes of the same tensors another model than dodeca's. */
#define _POSIX_C_SOURCE 200809L
#include "error.h"
#include "gpt2_names.h"
#include "platform.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_BYTES_MAX = 1 << 20, HEAD_CHANNELS = 64 };

/* Both sources as JSON: an object of numbers. */
static dd_status compare_sizes(const char *path, const char *what, const json_t *config,
                               dd_shape *shape, dd_error *error)
{
    const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {{"n_layer", shape->L},
                 {"n_embd", shape->C},
                 {"vocab_size", shape->V},
                 {"n_positions", shape->T_max}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const json_t *said = json_object_get(config, sizes[i].key);
        if (said && json_integer_value(said) != sizes[i].value)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": %s: %s is %" JSON_INTEGER_FORMAT
                                               ", but the tensors say %" PRIu32,
                                path, what, sizes[i].key, json_integer_value(said), sizes[i].value);
    }
    const json_int_t heads = json_integer_value(json_object_get(config, "n_head"));
    if (heads < 1 || heads > shape->C || shape->C % heads != 0)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": %s: n_head must be a whole number that divides the "
                                           "%" PRIu32 " channels",
                            path, what, shape->C);
    shape->NH = (uint32_t)heads;
    return DD_OK;
}

/* ---- Metadata ---- */

/* Digits alone, at most 9 of them; -1: anything else. */
static json_int_t number(const char *text)
{
    json_int_t value = 0;
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits])
        return -1;
    for (size_t i = 0; i < digits; i++)
        value = 10 * value + (text[i] - '0');
    return value;
}

static dd_status from_metadata(const dd_safetensors *s, dd_shape *shape, dd_error *error)
{
    static const char *const keys[] = {"n_head", "n_layer", "n_embd", "vocab_size", "n_positions"};
    const char *path = dd_safetensors_file(s)->path;
    json_t *config = json_object();
    bool whole = config;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = dd_safetensors_metadata(s, keys[i]);
        if (text)
            whole = json_object_set_new(config, keys[i], json_integer(number(text))) == 0 && whole;
    }
    const dd_status st =
        whole ? compare_sizes(path, "its metadata", config, shape, error)
              : dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    json_decref(config);
    return st;
}

/* ---- config.json ---- */

/* Settings of GPT-2 that change what its weights mean. What is not said is as dodeca has it. */
static dd_status check_model(const char *path, const json_t *config, dd_error *error)
{
    const char *gelu = json_string_value(json_object_get(config, "activation_function"));
    if (gelu && strcmp(gelu, "gelu_new") != 0 && strcmp(gelu, "gelu_pytorch_tanh") != 0)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": activation_function is \"%.40s\", dodeca's models "
                                           "have gelu_new",
                            path, gelu);
    const json_t *eps = json_object_get(config, "layer_norm_epsilon");
    if (eps && !(json_number_value(eps) == 1e-5))
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": layer_norm_epsilon is %g, dodeca's models have 1e-05",
                            path, json_number_value(eps));
    if (json_is_false(json_object_get(config, "scale_attn_weights")) ||
        json_is_true(json_object_get(config, "scale_attn_by_inverse_layer_idx")))
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": scale_attn_weights must be true and "
                                           "scale_attn_by_inverse_layer_idx false",
                            path);
    return DD_OK;
}

static dd_status parse_config(const char *path, const char *text, size_t bytes, bool *has_heads,
                              dd_shape *shape, dd_error *error)
{
    json_error_t why;
    json_t *config = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    dd_status st = DD_OK;
    if (!json_is_object(config)) {
        st = dd_error_set(error, DD_ERR_DATA,
                          DD_PATH_FORMAT ": it tells the heads of the model beside it, and is no "
                                         "JSON object: %.120s",
                          path, config ? "another kind of value" : why.text);
    } else if (json_object_get(config, "n_head")) {
        *has_heads = true;
        st = check_model(path, config, error);
        if (st == DD_OK)
            st = compare_sizes(path, "it is of another model than the file beside it", config,
                               shape, error);
    }
    json_decref(config);
    return st;
}

static dd_status read_config(const char *path, bool *has_heads, dd_shape *shape, dd_error *error)
{
    dd_input_file file;
    dd_status st = dd_input_file_open(path, &file, error);
    if (st != DD_OK)
        return st;
    char *text = file.bytes <= CONFIG_BYTES_MAX ? dd_alloc(file.bytes + 1) : NULL;
    if (!text)
        st = dd_error_set(error, DD_ERR_DATA,
                          DD_PATH_FORMAT ": %" PRIu64 " bytes are more than a model's settings "
                                         "take, or than there is memory for",
                          path, file.bytes);
    if (st == DD_OK)
        st = dd_input_file_read(&file, 0, text, file.bytes, error);
    if (st == DD_OK)
        st = parse_config(path, text, file.bytes, has_heads, shape, error);
    dd_free(text);
    dd_input_file_close(&file);
    return st;
}

/* From the file of this name in the same folder, if there is one. */
static dd_status from_config(const char *path, bool *has_heads, dd_shape *shape, dd_error *error)
{
    static const char name[] = "config.json";
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash + 1 - path) : 0;
    char *config = dd_alloc(folder + sizeof name);
    if (!config)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    memcpy(config, path, folder);
    memcpy(config + folder, name, sizeof name);
    const dd_status st =
        access(config, F_OK) == 0 ? read_config(config, has_heads, shape, error) : DD_OK;
    dd_free(config);
    return st;
}

dd_status dd_gpt2_heads_find(const dd_safetensors *s, dd_shape *shape, dd_error *error)
{
    const char *path = dd_safetensors_file(s)->path;
    bool found = false;
    if (dd_safetensors_metadata(s, "n_head"))
        return from_metadata(s, shape, error);
    const dd_status st = from_config(path, &found, shape, error);
    if (st != DD_OK || found)
        return st;
    if (shape->C % HEAD_CHANNELS != 0)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": nothing tells its number of heads: put the model's "
                                           "config.json, with n_head in it, beside it",
                            path);
    shape->NH = shape->C / HEAD_CHANNELS;
    return DD_OK;
}
