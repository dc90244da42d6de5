/* SPDX-License-Identifier: MIT
 * Parts of JSON files that more than one writer has. Each returns a new reference, or makes *ok
 * false for want of memory. */
#ifndef DD_REPORT_JSON_H
#define DD_REPORT_JSON_H

#include <jansson.h>

#include "report.h"

/* Takes the value. A NULL value, from want of memory or bad text, makes *ok false. */
void dd_json_put(json_t *object, const char *key, json_t *value, bool *ok);
void dd_json_append(json_t *array, json_t *value, bool *ok);
/* Text from outside may hold any byte; what is no UTF-8 is shown as '?'. */
json_t *dd_json_text(const char *s);
json_t *dd_json_whole(uint64_t n);

json_t *dd_machine_json(const dd_machine *machine, bool *ok);
json_t *dd_build_json(bool *ok);
json_t *dd_settings_json(const dd_settings *settings, bool *ok);

#endif
