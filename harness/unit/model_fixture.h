/* SPDX-License-Identifier: MIT
 * What tests of models in files have in common. The file is folder_fixture's one_file. */
#ifndef DD_MODEL_FIXTURE_H
#define DD_MODEL_FIXTURE_H

#include "dodeca.h"
#include "folder_fixture.h"

extern const dd_shape small;

/* Weights that are all different, with a NaN that carries something, an infinity and a -0. The
 * caller frees. */
float *make_weights(const dd_shape *shape);

/* The file is a model of this format and shape, and holds these weights. */
void assert_model(dd_file_format format, const dd_shape *shape, const float *weights);
/* It is refused with a one-line message that names the folder and holds every word of `words`,
 * separated by '|'; or this error has such a message. */
void assert_refused(const char *words);
void assert_says(const dd_error *error, const char *words);

#endif
