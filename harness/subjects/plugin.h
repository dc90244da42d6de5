/* SPDX-License-Identifier: MIT
 * A plug-in: a shared library behind dodeca_subject.h, loaded and held to what that header says of
 * its table. Whoever loads one runs its constructors: the product does so in children alone. A
 * library stays loaded until the process ends, since threads of its runtime may outlive close. */
#ifndef DD_PLUGIN_H
#define DD_PLUGIN_H

#include "dodeca_subject.h"
#include "plugin_weights.h"
#include "settings.h"

typedef struct dd_plugin {
    dd_subject_table table; /* a copy: members that the library does not know are NULL */
    void *self;             /* NULL: not open */
    char name[64];          /* for tables, on one line */
    uint32_t workers;       /* effective */
} dd_plugin;

/* Loads the library that the settings name.
 * errors   DD_ERR_ARGUMENT: it is no plug-in; the message names the file and what is wrong with it
 */
dd_status dd_plugin_load(const dd_settings *settings, dd_plugin *out, dd_error *error);

/* Opens a trainer. data: the path of its file; NULL: none. The calls return what the plug-in
 * returned, in dd_status's terms: DD_ERR_MEMORY where the machine lacks something.
 * errors   beside these DD_ERR_ARGUMENT                                                          */
dd_status dd_plugin_open(dd_plugin *p, const dd_settings *settings, const char *data,
                         dd_error *error);
/* Step number `number`; its time is taken here. */
dd_status dd_plugin_step(dd_plugin *p, uint64_t number, dd_step *out, dd_error *error);
void dd_plugin_close(dd_plugin *p); /* one that is not open is allowed */

#endif
