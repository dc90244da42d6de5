/* SPDX-License-Identifier: MIT
 * Actions on an address that are to end in SIGSEGV at exactly that address, or not to: each is done
 * by a forked child. */
#ifndef DD_TEST_DYING_H
#define DD_TEST_DYING_H

#include <stdbool.h>

void read_byte(char *address);
void write_byte(char *address);

/* How a child that does action(address) ends.
 * returns  0: by itself; the si_code of a SIGSEGV at that address; -1: any other way */
int fate_of(void (*action)(char *), char *address);

#define assert_lives(action, address) assert_int_equal(fate_of(action, address), 0)
#define assert_dies(action, address) assert_true(fate_of(action, address) > 0)

#endif
