/* SPDX-License-Identifier: MIT
 * Parts of run.json that more than one writer has. Each returns a new reference, or makes *ok false
 * for want of memory. */
#ifndef DD_REPORT_JSON_H
#define DD_REPORT_JSON_H

#include <jansson.h>

#include "report.h"

json_t *dd_machine_json(const dd_machine *machine, bool *ok);
json_t *dd_build_json(bool *ok);
json_t *dd_settings_json(const dd_settings *settings, bool *ok);

#endif
