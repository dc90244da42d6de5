/* SPDX-License-Identifier: MIT
 * The stack switch. The floating-point control words are not switched: explored code does not
 * change them. */
#include "fibre.h"

#include <stdint.h>

#if !defined(__x86_64__) || defined(__ILP32__)
#error "the explorer's stack switch is written for x86-64; leave harness/explore out of this build"
#endif

__asm__(".text\n"
        ".p2align 4\n"
        ".globl dd_fibre_switch\n"
        ".type dd_fibre_switch, @function\n"
        "dd_fibre_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size dd_fibre_switch, . - dd_fibre_switch\n"
        ".type fibre_entry, @function\n"
        "fibre_entry:\n"
        "    movq %r13, %rdi\n"
        "    call *%r12\n"
        "    ud2\n"
        ".size fibre_entry, . - fibre_entry\n");

void fibre_entry(void);

void *dd_fibre_prepare(void *stack, size_t stack_bytes, void (*run)(void *), void *arg)
{
    uintptr_t top = ((uintptr_t)stack + stack_bytes) & ~(uintptr_t)15;
    uint64_t *sp = (uint64_t *)top;
    *--sp =
        0; /* ends the chain of frames, and aligns the stack as `call` in fibre_entry wants it */
    *--sp = 0;
    *--sp = (uint64_t)(uintptr_t)fibre_entry;
    *--sp = 0;                        /* rbp */
    *--sp = 0;                        /* rbx */
    *--sp = (uint64_t)(uintptr_t)run; /* r12 */
    *--sp = (uint64_t)(uintptr_t)arg; /* r13 */
    *--sp = 0;                        /* r14 */
    *--sp = 0;                        /* r15 */
    return sp;
}
