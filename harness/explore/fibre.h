/* SPDX-License-Identifier: MIT
 * Fibres: stacks that one thread switches between. Knows nothing of what runs on them. x86-64
 * (System V) only; other processors refuse to compile this file, and the build leaves the explorer
 * out there. */
#ifndef DD_FIBRE_H
#define DD_FIBRE_H

#include <stddef.h>

/* Lays out a new fibre on a stack, so that the first switch to the returned stack pointer calls
 * run(arg). requires run never returns */
void *dd_fibre_prepare(void *stack, size_t stack_bytes, void (*run)(void *), void *arg);

/* Saves this fibre into *from and goes on in the fibre saved as `to`. Everything a fibre is,
 * registers included, then lies between its stack pointer and the top of its stack. */
void dd_fibre_switch(void **from, void *to);

#endif
