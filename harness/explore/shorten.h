/* SPDX-License-Identifier: MIT
 * Failures made readable: executions that fail alike with fewer changes of thread. */
#ifndef DD_SHORTEN_H
#define DD_SHORTEN_H

#include "executions.h"

/* Replaces *failed, the choices of an execution that fails, by those of one that fails with the
 * same verdict and has as few changes of thread as could be found by moving its pieces together. */
void dd_shorten(const dd_stage *stage, dd_schedule *failed);

#endif
