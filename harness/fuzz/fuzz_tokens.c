/* SPDX-License-Identifier: MIT
 * Token shards, as files that hold the input and nothing else. */
#include <stdio.h>

#include "dodeca.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const dd_fuzz_file file = dd_fuzz_file_open(bytes, n_bytes);
    char spec[64];
    (void)snprintf(spec, sizeof spec, "tokens:%s", file.path);
    dd_error error = {.message = ""};
    dd_data *data;
    if (dd_data_open(spec, 0, &data, &error) == DD_OK)
        dd_data_close(data);
    else
        dd_fuzz_check_message(error.message, sizeof error.message);
    dd_fuzz_file_close(file);
    return 0;
}
