/* SPDX-License-Identifier: MIT
 * Planted children of the cell runner, and what tests run them with. */
#ifndef DD_CHILD_FIXTURE_H
#define DD_CHILD_FIXTURE_H

#include "cell.h"
#include "cell_child.h"

#include <stdatomic.h>

#define STEPS 4
#define GOOD_HASH "0123456789abcdef0123456789abcdef"
/* Seconds: what a child that is well may be kept from its core on a loaded machine. */
#define LIMIT 1.0

/* The defaults with STEPS steps and this stall limit. */
dd_settings settings_of(double stall_limit_s);
/* cmocka catches faults; a child of the product inherits no such handler. */
void drop_handlers(void);

/* What children are made of: the first n steps, and the end of a run of STEPS. */
void good_steps(dd_child *child, unsigned n);
dd_run_end good_end(void);
/* Until `forever` is set, which nobody does but a test. */
void spin_forever(void);
extern atomic_int forever;

/* Ends well; never ends its third step; writes to no address in a thread of its own, write_through;
 * refuses for want of AVX2; ends with a hash of its own. */
void body_good(const dd_settings *s, dd_child *child);
void body_spins(const dd_settings *s, dd_child *child);
void body_faults(const dd_settings *s, dd_child *child);
void body_refuses(const dd_settings *s, dd_child *child);
void body_wrong_hash(const dd_settings *s, dd_child *child);

#endif
