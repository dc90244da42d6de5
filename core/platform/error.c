/* SPDX-License-Identifier: MIT
 * Error messages and the names of status codes. */
#include "error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

dd_status dd_error_set(dd_error *error, dd_status status, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
        for (char *c = error->message; *c; c++) /* what is quoted may hold anything: keep one line */
            if (iscntrl((unsigned char)*c))
                *c = '?';
    }
    return status;
}

const char *dd_status_name(dd_status status)
{
    switch (status) {
    case DD_OK:
        return "DD_OK";
    case DD_ERR_ARGUMENT:
        return "DD_ERR_ARGUMENT";
    case DD_ERR_DATA:
        return "DD_ERR_DATA";
    case DD_ERR_MEMORY:
        return "DD_ERR_MEMORY";
    case DD_ERR_THREAD:
        return "DD_ERR_THREAD";
    case DD_ERR_CPU:
        return "DD_ERR_CPU";
    case DD_ERR_FP_ENV:
        return "DD_ERR_FP_ENV";
    case DD_ERR_NONFINITE:
        return "DD_ERR_NONFINITE";
    case DD_ERR_CANCELLED:
        return "DD_ERR_CANCELLED";
    }
    return "unknown status";
}
