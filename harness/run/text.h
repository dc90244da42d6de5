/* SPDX-License-Identifier: MIT
 * What the readers of settings, models and timetables share: strict numbers, and messages of one
 * line in buffers of DD_MESSAGE_MAX bytes. */
#ifndef DD_TEXT_H
#define DD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/* Digits and nothing else: no sign, no blank, no base but ten.  returns  false: none, or too large
 */
bool dd_text_uint(const char *text, uint64_t *out);
/* The same, or with K, M, G or T behind it: that many times 1024, 1024^2, … */
bool dd_text_bytes(const char *text, uint64_t *out);
/* With the largest of these that divides it. */
void dd_text_write_bytes(uint64_t bytes, char text[DD_SPEC_MAX]);
/* A decimal number: no blanks, hexadecimals, infinities or NaN. */
bool dd_text_real(const char *text, double *out);

/* Writes the message; what does not fit is cut.  returns  false, always */
__attribute__((format(printf, 2, 3))) bool dd_text_refuse(char message[DD_MESSAGE_MAX],
                                                          const char *format, ...);
/* Appends to it. */
__attribute__((format(printf, 2, 3))) void dd_text_append(char message[DD_MESSAGE_MAX],
                                                          const char *format, ...);
/* Quoted text at fault may hold what is no part of a line: each such byte becomes '?'. */
void dd_text_one_line(char *message);

/* A model's text, [NAME][,K=V]…, as a shape. */
bool dd_text_model(const char *text, dd_shape *shape, char message[DD_MESSAGE_MAX]);

#endif
