/* SPDX-License-Identifier: MIT
 * Files of JSON, one object a line, that are whole whenever their writer is killed. */
#ifndef DD_JSON_LINE_H
#define DD_JSON_LINE_H

#include <jansson.h>

#include "settings.h"

/* Writes the object and the end of its line by one write(). What came of a line that could not be
 * written whole is taken away again.
 * owns     takes `line`; NULL: there was no memory for it
 * errors   DD_ERR_MEMORY; DD_ERR_DATA, the file cannot be written: `why` says so in words        */
dd_status dd_json_line_write(int fd, json_t *line, char why[DD_MESSAGE_MAX]);

/* A number, or null where it is not finite: JSON has no other. NULL: no memory. */
json_t *dd_json_number(double x);

#endif
