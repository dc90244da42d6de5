/* SPDX-License-Identifier: MIT
 * Safetensors containers of any tensors. What opens must keep its header's promises. */
#include <string.h>

#include "fuzz.h"
#include "safetensors.h"

static void check(const dd_safetensors *s, size_t n_bytes)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < dd_safetensors_n(s); i++) {
        const dd_safetensor *t = dd_safetensors_at(s, i);
        if ((i > 0 && t->offset != at) || t->offset > n_bytes || t->bytes > n_bytes - t->offset)
            dd_fuzz_finding("tensors that do not lie end to end in the file");
        at = t->offset + t->bytes;
        if (dd_safetensors_find(s, t->name) != t)
            dd_fuzz_finding("a tensor that its name does not find");
        uint8_t part[256];
        dd_error error = {""};
        const size_t n = t->bytes < sizeof part ? (size_t)t->bytes : sizeof part;
        if (dd_safetensors_read(s, t, t->bytes - n, n, part, &error) != DD_OK)
            dd_fuzz_finding("a tensor that cannot be read");
    }
    if (dd_safetensors_n(s) > 0 && at != n_bytes)
        dd_fuzz_finding("bytes behind the last tensor");
    const char *key, *value;
    for (void *at_key = NULL; (at_key = dd_safetensors_metadata_next(s, at_key, &key, &value));)
        if (strcmp(dd_safetensors_metadata(s, key), value) != 0)
            dd_fuzz_finding("metadata that its key does not find");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const dd_fuzz_file file = dd_fuzz_file_open(bytes, n_bytes);
    dd_error error = {.message = ""};
    dd_safetensors *s;
    if (dd_safetensors_open(file.path, &s, &error) == DD_OK) {
        check(s, n_bytes);
        dd_safetensors_close(s);
    } else {
        dd_fuzz_check_message(error.message, sizeof error.message);
    }
    dd_fuzz_file_close(file);
    return 0;
}
