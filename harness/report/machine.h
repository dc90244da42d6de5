/* SPDX-License-Identifier: MIT
 * The machine that results came from, as far as results depend on it. */
#ifndef DD_MACHINE_H
#define DD_MACHINE_H

#include <stdint.h>

typedef struct dd_machine {
    char cpu[128];    /* model name; "unknown" */
    char isa[64];     /* "x86_64" */
    char kernel[128]; /* "Linux 6.1.0-13-amd64" */
    uint32_t cores;   /* usable by this process */
    uint64_t memory_bytes;
} dd_machine;

void dd_machine_get(dd_machine *out);

#endif
