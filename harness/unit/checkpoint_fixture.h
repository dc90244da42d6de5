/* SPDX-License-Identifier: MIT
 * What tests of checkpoint files have in common: a folder of their own, small trainings, and calls
 * that must succeed. */
#ifndef DD_CHECKPOINT_FIXTURE_H
#define DD_CHECKPOINT_FIXTURE_H

#include "folder_fixture.h"
#include "trainer_fixture.h"

/* Of a cmocka group: folder_fixture's folder, and trainer_fixture's data. */
int open_folder(void **state);
int close_folder(void **state);

/* L 1, NH 2, C 8, V 64, T 8: 1,416 parameters. */
dd_config smallest(void);
/* Of some pages: L 2, NH 2, C 32, V 64, T 8. */
dd_config of_pages(void);

void save_ok(dd_trainer *t, const char *path, uint32_t keep);
void wait_ok(dd_trainer *t);
void load_ok(dd_trainer *t, const char *path);
/* Fails with this status, and a message that holds the text. */
void load_refused(dd_trainer *t, const char *path, dd_status status, const char *text);
void steps_ok(dd_trainer *t, uint32_t n);
/* What the oracle's weights are after n steps. */
void oracle_hash(const dd_config *config, uint32_t n, uint8_t hash[16]);
/* The trainer's weights have this hash. */
void assert_weights(const dd_trainer *t, const uint8_t hash[16]);

#endif
