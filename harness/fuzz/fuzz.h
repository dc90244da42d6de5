/* SPDX-License-Identifier: MIT
 * What fuzz targets share: an input as a file to open, since the parsers under test read files, and
 * the demand on every refusal. A target is one LLVMFuzzerTestOneInput, run by libFuzzer
 * (scripts/fuzz.sh) or over given files by replay.c. */
#ifndef DD_FUZZ_H
#define DD_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

/* The input as a regular file without a name on disk: path is good until dd_fuzz_file_close. Ends
 * the program where there is no memory for it. */
typedef struct dd_fuzz_file {
    int fd;
    char path[32];
} dd_fuzz_file;
dd_fuzz_file dd_fuzz_file_open(const uint8_t *bytes, size_t n_bytes);
void dd_fuzz_file_close(dd_fuzz_file file);

/* Ends the program with the text, which libFuzzer takes for a finding. */
_Noreturn void dd_fuzz_finding(const char *text);

/* A refusal is one line: not empty, of printable bytes, less than room bytes long. */
void dd_fuzz_check_message(const char *message, size_t room);

#endif
