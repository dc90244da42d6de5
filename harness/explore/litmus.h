/* SPDX-License-Identifier: MIT
 * Litmus tests of the memory model: threads of a few instructions each, and the outcomes that C11
 * allows. */
#ifndef DD_LITMUS_H
#define DD_LITMUS_H

#include "explore.h"

#define DD_LITMUS_DIGITS 4

/* An outcome is written as digits, values of registers and last values of words. */
typedef struct dd_litmus {
    dd_program program; /* under DD_MEMORY_C11 */
    dd_explore_verdict verdict;
    const char *outcomes; /* PASS: these are reached and no others, as "00 01 11" */
    const char *beyond;   /* allowed by C11, but not reached: see weak.h; NULL: none */
} dd_litmus;

extern const dd_litmus dd_litmus_tests[]; /* ends with program.name NULL */

/* The outcomes since it was last cleared, by the value of their digits in base 4. As for the toys'
 * outcomes, explored code writes this and never reads it. */
extern bool dd_litmus_reached[1 << 2 * DD_LITMUS_DIGITS];

#endif
