/* SPDX-License-Identifier: MIT
 * Models in files: made, held to what they should be, and refused. */
#define _POSIX_C_SOURCE 200809L
#include "model_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const dd_shape small = {.L = 2, .NH = 2, .C = 6, .V = 5, .T_max = 3};

void assert_says(const dd_error *error, const char *words)
{
    assert_null(strchr(error->message, '\n'));
    char list[512];
    (void)snprintf(list, sizeof list, "%s|%s", words, folder);
    char *rest = NULL;
    for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (!strstr(error->message, word))
            fail_msg("\"%s\" does not say \"%s\"", error->message, word);
}

void assert_refused(const char *words)
{
    dd_model_file *m = NULL;
    dd_error error = {""};
    assert_int_equal(dd_model_file_open(one_file, &m, &error), DD_ERR_DATA);
    assert_null(m);
    assert_says(&error, words);
}

float *make_weights(const dd_shape *shape)
{
    const uint64_t n = dd_shape_n_parameters(shape);
    float *weights = malloc(n * sizeof *weights);
    assert_non_null(weights);
    for (uint64_t i = 0; i < n; i++)
        weights[i] = (float)i + 0.5f;
    const uint32_t nan = 0xffc12345;
    memcpy(&weights[1], &nan, sizeof nan);
    weights[2] = INFINITY;
    weights[3] = -0.0f;
    return weights;
}

void assert_model(dd_file_format format, const dd_shape *shape, const float *weights)
{
    dd_model_file *m;
    dd_error error = {""};
    if (dd_model_file_open(one_file, &m, &error) != DD_OK)
        fail_msg("%s", error.message);
    dd_model_file_info info;
    dd_model_file_info_get(m, &info);
    assert_int_equal(info.format, format);
    assert_memory_equal(&info.shape, shape, sizeof *shape);
    assert_int_equal(info.n_parameters, dd_shape_n_parameters(shape));
    assert_int_equal(info.padded_vocabulary,
                     format == DD_FILE_LLMC ? (shape->V + 127) / 128 * 128 : shape->V);
    assert_int_equal(info.step, 0);
    float *got = malloc(info.n_parameters * sizeof *got);
    assert_non_null(got);
    assert_int_equal(dd_model_file_read(m, got, &error), DD_OK);
    assert_memory_equal(got, weights, info.n_parameters * sizeof *got);
    free(got);
    dd_model_file_close(m);
}
