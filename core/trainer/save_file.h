/* SPDX-License-Identifier: MIT
 * Inside core/trainer: what steps and close have to do with a save under way. A build without
 * checkpoint files has save_file_absent.c, in which there is never one. */
#ifndef DD_SAVE_FILE_H
#define DD_SAVE_FILE_H

#include "dodeca.h"

/* After every step, by the caller: begins to write where all pages are copied, and takes back what
 * is written. */
void dd_saving_look_(dd_trainer *t);
/* Ends a save under way and releases all there is. */
void dd_saving_close_(dd_trainer *t);

#endif
