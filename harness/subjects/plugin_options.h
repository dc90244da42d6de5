/* SPDX-License-Identifier: MIT
 * The text of `subject-options`, "hidden=32,rate=0.1", as a plug-in gets it. Owns its form; what a
 * key means is the plug-in's to say. */
#ifndef DD_PLUGIN_OPTIONS_H
#define DD_PLUGIN_OPTIONS_H

#include "dodeca_subject.h"
#include "settings.h"

#define DD_PLUGIN_OPTIONS_MAX 64

typedef struct dd_plugin_options {
    char text[DD_SPEC_MAX]; /* cut apart: what the options point into */
    dd_subject_option option[DD_PLUGIN_OPTIONS_MAX];
    uint32_t n;
} dd_plugin_options;

/* returns  false, message filled: not of that form, a key twice, too many                       */
bool dd_plugin_options_read(const char *text, dd_plugin_options *out, char message[DD_MESSAGE_MAX]);

#endif
