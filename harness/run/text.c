/* SPDX-License-Identifier: MIT
 * Numbers, messages and models as text. */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool dd_text_uint(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static const char units[] = "KMGT"; /* 2^10, 2^20, 2^30, 2^40 */

bool dd_text_bytes(const char *text, uint64_t *out)
{
    char digits[24];
    const size_t n = strlen(text);
    const char *unit = n > 1 ? strchr(units, text[n - 1]) : NULL;
    if (n >= sizeof digits)
        return false;
    strcpy(digits, text);
    if (unit)
        digits[n - 1] = '\0';
    const int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    uint64_t value;
    if (!dd_text_uint(digits, &value) || value > UINT64_MAX >> shift)
        return false;
    *out = value << shift;
    return true;
}

void dd_text_write_bytes(uint64_t bytes, char text[DD_SPEC_MAX])
{
    const char *unit = "";
    for (size_t i = 0; units[i] && bytes && bytes % 1024 == 0; i++) {
        bytes /= 1024;
        unit = &units[i];
    }
    (void)snprintf(text, DD_SPEC_MAX, "%" PRIu64 "%.1s", bytes, unit);
}

bool dd_text_real(const char *text, double *out)
{
    /* strtod alone would take blanks, hexadecimals, "inf" and "nan" */
    if (text[0] == '\0' || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    char *end = NULL;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

bool dd_text_refuse(char message[DD_MESSAGE_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, DD_MESSAGE_MAX, format, args);
    va_end(args);
    return false;
}

void dd_text_append(char message[DD_MESSAGE_MAX], const char *format, ...)
{
    size_t used = strlen(message);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message + used, DD_MESSAGE_MAX - used, format, args);
    va_end(args);
}

void dd_text_one_line(char *message)
{
    for (; *message; message++)
        if (iscntrl((unsigned char)*message))
            *message = '?';
}

/* ---- Model: [NAME][,K=V]… ---- */

static uint32_t *shape_field(dd_shape *shape, const char *name)
{
    return strcmp(name, "L") == 0    ? &shape->L
           : strcmp(name, "NH") == 0 ? &shape->NH
           : strcmp(name, "C") == 0  ? &shape->C
           : strcmp(name, "V") == 0  ? &shape->V
           : strcmp(name, "T") == 0  ? &shape->T_max
                                     : NULL;
}

static bool model_override(dd_shape *shape, uint32_t given[5], char *pair, const char *text,
                           char message[DD_MESSAGE_MAX])
{
    static const char *const names[] = {"L", "NH", "C", "V", "T"};
    char *equals = strchr(pair, '=');
    if (equals)
        *equals = '\0';
    uint32_t *field = shape_field(shape, pair);
    if (!equals || !field)
        return dd_text_refuse(
            message, "model \"%.200s\": \"%.64s\" is not one of L=, NH=, C=, V=, T=", text, pair);
    uint64_t value = 0;
    if (!dd_text_uint(equals + 1, &value) || value < 1 || value > DD_SETTINGS_TOKENS_MAX)
        return dd_text_refuse(message, "model \"%.200s\": %s must be a whole number from 1 to %u",
                              text, pair, DD_SETTINGS_TOKENS_MAX);
    for (uint32_t i = 0; i < 5; i++)
        if (strcmp(names[i], pair) == 0 && given[i]++)
            return dd_text_refuse(message, "model \"%.200s\": %s is given twice", text, pair);
    *field = (uint32_t)value;
    return true;
}

bool dd_text_model(const char *text, dd_shape *shape, char message[DD_MESSAGE_MAX])
{
    char buffer[DD_SPEC_MAX];
    if (strlen(text) >= sizeof buffer)
        return dd_text_refuse(message, "model: %zu characters, at most %d are allowed",
                              strlen(text), DD_SPEC_MAX - 1);
    strcpy(buffer, text);
    memset(shape, 0, sizeof *shape);
    uint32_t given[5] = {0};
    bool first = true, named = false;
    for (char *part = buffer, *next; part; part = next, first = false) {
        next = strchr(part, ',');
        if (next)
            *next++ = '\0';
        if (first && !strchr(part, '=')) {
            named = dd_shape_named(part, shape);
            if (!named) {
                dd_text_refuse(message, "model \"%.200s\": no model \"%.64s\"; there are ", text,
                               part);
                for (size_t i = 0; dd_shape_name(i); i++)
                    dd_text_append(message, "%s, ", dd_shape_name(i));
                dd_text_append(message, "and shapes such as L=2,NH=2,C=32,V=256,T=16");
                return false;
            }
        } else if (!model_override(shape, given, part, text, message)) {
            return false;
        }
    }
    if (!named && !(given[0] && given[1] && given[2] && given[3] && given[4]))
        return dd_text_refuse(
            message, "model \"%.200s\": a shape without a name needs all of L, NH, C, V, T", text);
    if (shape->C % shape->NH != 0)
        return dd_text_refuse(
            message,
            "model \"%.200s\": C %u is not divisible by NH %u heads; C must be a multiple of NH",
            text, shape->C, shape->NH);
    if (dd_shape_n_parameters(shape) == 0)
        return dd_text_refuse(
            message, "model \"%.200s\": more parameters than can be addressed, 2^43", text);
    return true;
}
