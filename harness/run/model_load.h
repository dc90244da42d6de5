/* SPDX-License-Identifier: MIT
 * A model file's weights in memory, for subcommands that look at all of them. */
#ifndef DD_MODEL_LOAD_H
#define DD_MODEL_LOAD_H

#include "dodeca.h"

/* All weights in canonical order. What this machine's memory cannot hold is refused before it is
 * read: the system would grant it, and end the process when it is touched.
 * owns     *weights on success, released by free
 * errors   those of dd_model_file_read                                                         */
dd_status dd_model_load(dd_model_file *file, const char *path, float **weights, dd_error *error);

/* What a subcommand exits with when reading ended so. */
int dd_model_exit_code(dd_status status);

#endif
