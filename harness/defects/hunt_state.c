/* SPDX-License-Identifier: MIT
 * What a hunt has finished, in a file that an interrupted one is resumed from. The first line tells
 * of which sources and which means; a line that cannot be read, as the last of a run that was
 * killed, is no line. */
#include "hunt.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

static void write_line(dd_hunt *h, json_t *line)
{
    if (line && h->state) {
        (void)json_dumpf(line, h->state, JSON_COMPACT);
        (void)fputc('\n', h->state);
        (void)fflush(h->state);
    }
    json_decref(line);
}

static void hex(uint64_t value, char text[20])
{
    (void)snprintf(text, 20, "%016" PRIx64, value);
}

static json_t *head(const dd_hunt *h)
{
    char revision[20], means[128] = "";
    hex(h->workshop->revision, revision);
    for (dd_means m = 0; m < DD_N_MEANS; m++)
        if (h->by_means && h->means[m])
            snprintf(means + strlen(means), sizeof means - strlen(means), "%s%s",
                     means[0] ? "," : "", dd_means_name(m));
    return json_pack("{s:s, s:s}", "revision", revision, "means", means);
}

/* ---- Out ---- */

void dd_hunt_state_known_(dd_hunt *h, const dd_known *known)
{
    write_line(h, json_pack("{s:s, s:f, s:s}", "trial", known->key, "seconds", known->seconds,
                            "oracle", known->oracle));
}

void dd_hunt_state_row_(dd_hunt *h, size_t i)
{
    const dd_hunt_row *row = &h->row[i];
    char hash[20];
    hex(h->all->defect[i].hash, hash);
    json_t *cells = json_array();
    for (dd_means m = 0; m < DD_N_MEANS; m++) {
        const dd_finding *cell = &row->cell[m];
        if (cell->kind != DD_FOUND_NOT_RUN)
            (void)json_array_append_new(cells, json_pack("{s:s, s:i, s:f, s:s, s:b}", "means",
                                                         dd_means_name(m), "found", (int)cell->kind,
                                                         "seconds", cell->seconds, "how", cell->how,
                                                         "named", (int)row->named[m]));
    }
    write_line(h, json_pack("{s:s, s:s, s:s, s:o}", "defect", h->all->defect[i].name, "hash", hash,
                            "problem", row->problem, "cells", cells));
}

/* ---- In ---- */

static void read_cell(dd_hunt_row *row, json_t *cell)
{
    const char *name, *how;
    int found, named;
    double seconds;
    dd_means m;
    if (json_unpack(cell, "{s:s, s:i, s:F, s:s, s:b}", "means", &name, "found", &found, "seconds",
                    &seconds, "how", &how, "named", &named) != 0 ||
        !dd_means_find(name, strlen(name), &m) || found < 0 || found > DD_FOUND_UNFIT)
        return;
    row->cell[m] = (dd_finding){.kind = (dd_finding_kind)found, .seconds = seconds};
    snprintf(row->cell[m].how, sizeof row->cell[m].how, "%s", how);
    row->named[m] = named;
}

static void read_line(dd_hunt *h, json_t *line)
{
    const char *trial, *oracle, *name, *hash, *problem;
    double seconds;
    json_t *cells, *cell;
    size_t k;
    if (json_unpack(line, "{s:s, s:F, s:s}", "trial", &trial, "seconds", &seconds, "oracle",
                    &oracle) == 0) {
        dd_known known = {.seconds = seconds};
        snprintf(known.key, sizeof known.key, "%s", trial);
        snprintf(known.oracle, sizeof known.oracle, "%s", oracle);
        (void)dd_hunt_know_(h, &known);
        return;
    }
    if (json_unpack(line, "{s:s, s:s, s:s, s:o}", "defect", &name, "hash", &hash, "problem",
                    &problem, "cells", &cells) != 0)
        return;
    for (size_t i = 0; i < h->all->n; i++) {
        char own[20];
        hex(h->all->defect[i].hash, own);
        if (strcmp(h->all->defect[i].name, name) != 0 || strcmp(own, hash) != 0)
            continue;
        dd_hunt_row *row = &h->row[i];
        *row = (dd_hunt_row){.done = true};
        snprintf(row->problem, sizeof row->problem, "%s", problem);
        json_array_foreach(cells, k, cell) read_cell(row, cell);
    }
}

/* returns  whether the text is of the same sources and means */
static bool read_all(dd_hunt *h, char *text)
{
    json_t *own = head(h);
    bool same = false;
    uint32_t number = 0;
    for (char *at = text, *next; *at; at = next, number++) {
        next = strchrnul(at, '\n');
        if (*next)
            *next++ = '\0';
        json_t *line = json_loads(at, 0, NULL);
        if (number == 0)
            same = line && json_equal(line, own);
        else if (line && same)
            read_line(h, line);
        json_decref(line);
    }
    json_decref(own);
    return same;
}

bool dd_hunt_state_open_(dd_hunt *h, bool resume)
{
    char path[DD_FILE_PATH];
    dd_path(path, h->workshop->folder, "state.jsonl");
    char *text = resume ? dd_slurp(path, NULL) : NULL;
    const bool same = text && read_all(h, text);
    if (text && !same && h->log)
        fprintf(h->log, "nothing to resume: what was finished is of other sources or means\n");
    free(text);
    h->state = fopen(path, same ? "a" : "w");
    if (!h->state) {
        snprintf(h->message, sizeof h->message, "%.400s cannot be written: %s", path,
                 strerror(errno));
        return false;
    }
    if (!same)
        write_line(h, head(h));
    return true;
}
