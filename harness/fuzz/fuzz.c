/* SPDX-License-Identifier: MIT
 * Files in memory, and what a refusal must look like. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void dd_fuzz_finding(const char *text)
{
    fprintf(stderr, "finding: %s\n", text);
    abort();
}

dd_fuzz_file dd_fuzz_file_open(const uint8_t *bytes, size_t n_bytes)
{
    dd_fuzz_file file = {.fd = memfd_create("input", MFD_CLOEXEC)};
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n = write(file.fd, bytes + done, n_bytes - done);
        if (n <= 0) {
            perror("fuzz: writing the input");
            exit(3);
        }
        done += (size_t)n;
    }
    (void)snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

void dd_fuzz_file_close(dd_fuzz_file file)
{
    close(file.fd);
}

void dd_fuzz_check_message(const char *message, size_t room)
{
    const size_t n = strnlen(message, room);
    if (n == 0)
        dd_fuzz_finding("a refusal without a message");
    if (n == room)
        dd_fuzz_finding("a message without an end");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)message[i] < ' ' || message[i] == 0x7f)
            dd_fuzz_finding("a message with control characters or more than one line");
}
