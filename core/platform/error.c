/* SPDX-License-Identifier: MIT
 * Error messages, the check of the floating-point environment. */
#include "error.h"

#include "platform.h"

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
        for (char *c = error->message; *c;
             c++) /* what is quoted may hold anything: keep one line */
            if (iscntrl((unsigned char)*c))
                *c = '?';
    }
    return status;
}

dd_status dd_fp_env_check(dd_error *error)
{
    const uint32_t fp_env = dd_fp_env();
    if (fp_env == DD_FP_ENV_DEFAULT)
        return DD_OK;
    return dd_error_set(error, DD_ERR_FP_ENV,
                        "the calling thread's floating-point control is 0x%x and must be 0x%x: "
                        "something in this process changed it (loading a library built with "
                        "-ffast-math or -Ofast does)",
                        fp_env, DD_FP_ENV_DEFAULT);
}
