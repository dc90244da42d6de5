/* SPDX-License-Identifier: MIT
 * What the children of the product execute: open the data, train, close, report. */
#ifndef DD_CELL_BODY_H
#define DD_CELL_BODY_H

#include "cell.h"

/* The subject that the settings name, with its hogs, its timetable and its planted defect; where
 * that is a plug-in, dd_cell_body_plugin. */
dd_cell_body dd_cell_body_train;
/* The oracle, whatever the settings name. */
dd_cell_body dd_cell_body_serial;

/* A plug-in: loaded, opened, trained and closed, and its weights gone through. */
dd_cell_body dd_cell_body_plugin;
/* Loads the plug-in and looks at its table, no more. */
dd_cell_body dd_cell_body_probe;

/* A hash of 16 bytes as 32 hex digits. */
void dd_hash_text(const uint8_t hash[16], char text[33]);

#endif
