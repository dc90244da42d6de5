/* SPDX-License-Identifier: MIT
 * Options of a plug-in. */
#include "plugin_options.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

bool dd_plugin_options_read(const char *text, dd_plugin_options *out, char message[DD_MESSAGE_MAX])
{
    out->n = 0;
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    for (char *at = out->text, *next; at && *at; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        char *equals = strchr(at, '=');
        if (!equals || equals == at || (next && !*next))
            return dd_text_refuse(message,
                                  "subject-options \"%.64s\": must be KEY=VALUE, or several with "
                                  "commas between them, such as hidden=32,rate=0.1",
                                  text);
        *equals = '\0';
        for (uint32_t i = 0; i < out->n; i++)
            if (strcmp(out->option[i].key, at) == 0)
                return dd_text_refuse(message, "subject-options: %.64s is there twice", at);
        if (out->n == DD_PLUGIN_OPTIONS_MAX)
            return dd_text_refuse(message, "subject-options: more than %d of them",
                                  DD_PLUGIN_OPTIONS_MAX);
        out->option[out->n++] = (dd_subject_option){.key = at, .value = equals + 1};
    }
    return true;
}
