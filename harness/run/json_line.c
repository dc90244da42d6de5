/* SPDX-License-Identifier: MIT
 * Lines of JSON in files. */
#include "json_line.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

dd_status dd_json_line_write(int fd, json_t *line, char why[DD_MESSAGE_MAX])
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(line);
    if (!text) {
        strcpy(why, "a line cannot be made: no memory, or a path that is not UTF-8");
        return DD_ERR_MEMORY;
    }
    const size_t n = strlen(text);
    text[n] = '\n'; /* in the place of its end */
    const off_t before = lseek(fd, 0, SEEK_END);
    const ssize_t written = write(fd, text, n + 1);
    const int number = errno;
    free(text);
    if (written == (ssize_t)(n + 1))
        return DD_OK;
    if (written > 0 && before >= 0 && ftruncate(fd, before) != 0)
        strcpy(why, "the last line is cut, there is no space left");
    else
        (void)snprintf(why, DD_MESSAGE_MAX, "a line cannot be written: %s",
                       written < 0 ? strerror(number) : "no space left");
    return DD_ERR_DATA;
}

json_t *dd_json_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
