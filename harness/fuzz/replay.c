/* SPDX-License-Identifier: MIT
 * Runs a fuzz target over the files given, each once: the committed inputs in tests, and a finding
 * under a debugger. `NAME_replay FILE…`; exits 0 when all were taken, 2 where a file cannot be
 * read. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BYTES = 1 << 20 };

int main(int argc, char **argv)
{
    static uint8_t bytes[MAX_BYTES];
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 2;
        }
        const size_t n = fread(bytes, 1, sizeof bytes, f);
        const bool whole = !ferror(f) && fgetc(f) == EOF;
        fclose(f);
        if (!whole) {
            fprintf(stderr, "%s: cannot be read, or is longer than %d bytes\n", argv[i], MAX_BYTES);
            return 2;
        }
        /* of exactly the input's size, so that a checker of memory sees what lies beyond */
        uint8_t *copy = malloc(n ? n : 1);
        if (!copy)
            return 3;
        for (size_t k = 0; k < n; k++)
            copy[k] = bytes[k];
        LLVMFuzzerTestOneInput(copy, n);
        free(copy);
    }
    return 0;
}
