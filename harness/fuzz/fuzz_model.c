/* SPDX-License-Identifier: MIT
 * Model files of any format, told by their content: safetensors with GPT-2's names, llm.c,
 * checkpoints. What opens is read whole. */
#include <stdlib.h>

#include "dodeca.h"
#include "fuzz.h"

static void read_all(dd_model_file *model, size_t n_bytes)
{
    dd_model_file_info info;
    dd_model_file_info_get(model, &info);
    if (info.n_parameters == 0 || info.n_parameters != dd_shape_n_parameters(&info.shape) ||
        info.padded_vocabulary < info.shape.V)
        dd_fuzz_finding("a model whose sizes are none");
    if (info.n_parameters > n_bytes / 2) /* of half precision */
        dd_fuzz_finding("more weights than the file has room for");
    float *weights = malloc(info.n_parameters * sizeof *weights);
    dd_error error = {.message = ""};
    if (!weights)
        abort();
    if (dd_model_file_read(model, weights, &error) != DD_OK)
        dd_fuzz_check_message(error.message, sizeof error.message);
    free(weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const dd_fuzz_file file = dd_fuzz_file_open(bytes, n_bytes);
    dd_error error = {.message = ""};
    dd_model_file *model;
    if (dd_model_file_open(file.path, &model, &error) == DD_OK) {
        read_all(model, n_bytes);
        dd_model_file_close(model);
    } else {
        dd_fuzz_check_message(error.message, sizeof error.message);
    }
    dd_fuzz_file_close(file);
    return 0;
}
