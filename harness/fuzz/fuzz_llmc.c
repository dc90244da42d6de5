/* SPDX-License-Identifier: MIT
 * Model files of llm.c: every input is taken for one. */
#include <stdlib.h>

#include "fuzz.h"
#include "llmc.h"

static void read_all(const dd_input_file *in, dd_error *error)
{
    dd_shape shape;
    uint32_t padded;
    dd_model_piece piece[DD_LLMC_PIECES];
    if (dd_llmc_find(in, &shape, &padded, piece, error) != DD_OK) {
        dd_fuzz_check_message(error->message, sizeof error->message);
        return;
    }
    const uint64_t n = dd_shape_n_parameters(&shape);
    if (n == 0 || n > in->bytes / sizeof(float) || padded < shape.V)
        dd_fuzz_finding("a model whose sizes are none, or more than the file holds");
    float *weights = malloc(n * sizeof *weights);
    if (!weights)
        abort();
    if (dd_model_pieces_read(in, piece, DD_LLMC_PIECES, weights, error) != DD_OK)
        dd_fuzz_finding("a model that opens and cannot be read");
    free(weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const dd_fuzz_file file = dd_fuzz_file_open(bytes, n_bytes);
    dd_error error = {.message = ""};
    dd_input_file in;
    if (dd_input_file_open(file.path, &in, &error) != DD_OK)
        dd_fuzz_finding("an input that is no file");
    read_all(&in, &error);
    dd_input_file_close(&in);
    dd_fuzz_file_close(file);
    return 0;
}
