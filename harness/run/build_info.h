/* SPDX-License-Identifier: MIT
 * What this program was built from and how; the values are written at build time
 * (build_info.cmake). */
#ifndef DD_BUILD_INFO_H
#define DD_BUILD_INFO_H

typedef struct dd_build_info {
    const char *version;  /* "0.1.0" */
    const char *commit;   /* git describe --always --dirty; "unknown" outside a checkout */
    const char *compiler; /* "GNU 12.2.0" */
    const char *flags;    /* optimisation and code generation, without the warnings */
    const char *type;     /* "Release" */
    const char
        *sanitizer; /* "" or what -fsanitize got; results of such a build are no measurements */
} dd_build_info;

extern const dd_build_info dd_build;

#endif
