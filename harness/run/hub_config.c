/* SPDX-License-Identifier: MIT
 * Writes a config.json: the shape, and the settings that make of GPT-2's tensors the model that
 * dodeca has. */
#include "hub_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "input_file.h"
#include "whole_file.h"

/* The token that begins and ends texts is the last of GPT-2's own vocabulary; others have none. */
enum { GPT2_VOCABULARY = 50257 };

char *dd_hub_config_path(const char *beside)
{
    static const char name[] = "config.json";
    const char *slash = strrchr(beside, '/');
    const size_t folder = slash ? (size_t)(slash - beside) + 1 : 0;
    char *path = malloc(folder + sizeof name);
    if (path) {
        memcpy(path, beside, folder);
        memcpy(path + folder, name, sizeof name);
    }
    return path;
}

static json_t *config_of(const dd_shape *shape)
{
    const bool gpt2 = shape->V == GPT2_VOCABULARY;
    return json_pack("{s:[s], s:s, s:s, s:s, s:f, s:b, s:i, s:i, s:i, s:i, s:i, s:o, s:o}",
                     "architectures", "GPT2LMHeadModel", "model_type", "gpt2",
                     "activation_function", "gelu_new", "torch_dtype", "float32",
                     "layer_norm_epsilon", 1e-5, "tie_word_embeddings", 1, "n_layer", (int)shape->L,
                     "n_head", (int)shape->NH, "n_embd", (int)shape->C, "n_positions",
                     (int)shape->T_max, "vocab_size", (int)shape->V, "bos_token_id",
                     gpt2 ? json_integer(GPT2_VOCABULARY - 1) : json_null(), "eos_token_id",
                     gpt2 ? json_integer(GPT2_VOCABULARY - 1) : json_null());
}

dd_status dd_hub_config_write(const char *path, const dd_shape *shape, dd_error *error)
{
    json_t *config = config_of(shape);
    char *text = config ? json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(config);
    if (!text)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    const size_t n = strlen(text);
    dd_whole_file *file;
    dd_status st = dd_whole_file_create(path, &file, error);
    if (st == DD_OK) {
        st = dd_whole_file_write(file, 0, text, n, error);
        if (st == DD_OK)
            st = dd_whole_file_write(file, n, "\n", 1, error);
        if (st == DD_OK)
            st = dd_whole_file_commit(file, 1, error);
        else
            dd_whole_file_abandon(file);
    }
    free(text);
    return st;
}
