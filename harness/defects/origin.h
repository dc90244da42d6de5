/* SPDX-License-Identifier: MIT
 * Where this program was built: what CMake noted beside it, in its build folder. A program that
 * was installed stands beside no such note and knows no folder of the machine that built it. */
#ifndef DD_ORIGIN_H
#define DD_ORIGIN_H

#include <stdbool.h>

#include "defect.h"
#include "files.h"

typedef struct dd_origin {
    char source[DD_FILE_PATH], build[DD_FILE_PATH], compiler[DD_FILE_PATH];
} dd_origin;

/* errors   false: message says that there is no note, or that it cannot be read */
bool dd_origin_find(dd_origin *o, char message[DD_DEFECT_MESSAGE]);

#endif
