/* SPDX-License-Identifier: MIT
 * One-line error messages for the public API's dd_error, and the one check that every layer shares.
 */
#ifndef DD_ERROR_H
#define DD_ERROR_H

#include "dodeca.h"

/* Formats into error->message (cut at its size) and returns status; error may be NULL. */
__attribute__((format(printf, 3, 4))) dd_status dd_error_set(dd_error *error, dd_status status,
                                                             const char *format, ...);

/* Whether the calling thread computes as the bit contract asks: nearest even, denormals kept.
 * errors   DD_ERR_FP_ENV                                                                        */
dd_status dd_fp_env_check(dd_error *error);

#endif
