/* SPDX-License-Identifier: MIT
 * Reads the weights of model files into memory. */
#include "model_load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "error.h"

dd_status dd_model_load(dd_model_file *file, const char *path, float **weights, dd_error *error)
{
    dd_model_file_info info;
    dd_model_file_info_get(file, &info);
    const double bytes = (double)info.n_parameters * sizeof **weights;
    const double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    float *values = bytes < machine ? malloc((size_t)bytes) : NULL;
    if (!values)
        return dd_error_set(error, DD_ERR_MEMORY,
                            "%.200s: its %" PRIu64 " parameters take %.3g GiB of memory, more than "
                            "is to be had",
                            path, info.n_parameters, bytes / 0x1p30);
    const dd_status st = dd_model_file_read(file, values, error);
    if (st == DD_OK)
        *weights = values;
    else
        free(values);
    return st;
}

int dd_model_exit_code(dd_status status)
{
    return status == DD_OK                                      ? DD_EXIT_HELD
           : status == DD_ERR_DATA || status == DD_ERR_ARGUMENT ? DD_EXIT_USAGE
                                                                : DD_EXIT_ENVIRONMENT;
}
