/* SPDX-License-Identifier: MIT
 * Hogs: busy threads that take half a core each from the workers pinned there, so that lanes become
 * uneven in time. Hog h stands where the trainer pins worker h, as the machine's topology has it.
 */
#ifndef DD_HOG_H
#define DD_HOG_H

#include "dodeca.h"

typedef struct dd_hogs dd_hogs;

/* Starts n of them; n 0: *out is NULL.
 * owns     *out, ended and released by dd_hogs_close
 * errors   DD_ERR_MEMORY, DD_ERR_THREAD, DD_ERR_CPU: none is left running                     */
dd_status dd_hogs_open(uint32_t n, dd_hogs **out, dd_error *error);
void dd_hogs_close(dd_hogs *hogs); /* NULL allowed */
/* CPU time that they have used: no part of the training's. */
uint64_t dd_hogs_cpu_ns(const dd_hogs *hogs);

#endif
