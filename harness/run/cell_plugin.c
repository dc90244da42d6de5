/* SPDX-License-Identifier: MIT
 * What a child does with a plug-in: the one place where the product loads a library that is not its
 * own. Reports what happened; judges nothing. */
#include "cell_body.h"
#include "cell_child.h"
#include "plugin.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A scenario's data may be any file: it is hashed as bytes unless it says that it holds tokens.
 * "builtin" is dodeca's own, and stands for no file. *path: NULL for none. */
static dd_status open_data(const dd_settings *s, dd_run_end *end, const char **path,
                           dd_error *error)
{
    dd_data *data = NULL;
    dd_data_info info;
    char used[DD_SPEC_MAX] = "", note[DD_MESSAGE_MAX] = "";
    *path = NULL;
    end->floor_nats = (double)NAN;
    const dd_status st = dd_settings_open_data(s, &data, used, note, error);
    if (st != DD_OK)
        return st;
    const char *colon = strchr(used, ':');
    if (colon) {
        dd_data_info_get(data, &info);
        snprintf(end->data, sizeof end->data, "%s", used);
        snprintf(end->data_note, sizeof end->data_note, "%s", note);
        dd_hash_text(info.hash, end->data_hash);
        end->data_tokens = info.n_tokens;
        *path = strchr(end->data, ':') + 1;
    }
    dd_data_close(data);
    return DD_OK;
}

static dd_status train_steps(dd_plugin *p, const dd_settings *s, dd_child *child, dd_error *error)
{
    for (uint64_t i = 0; i < s->steps; i++) {
        dd_step step;
        const dd_status st = dd_plugin_step(p, i, &step, error);
        if (st != DD_OK)
            return st;
        dd_child_step(child, &step);
    }
    return DD_OK;
}

static void describe(const dd_plugin *p, dd_run_end *end)
{
    end->info.workers = p->workers;
    end->info.n_parameters = end->own.n;
    end->info.kernels = end->kernels;
    end->info.guard_why = end->guard_why;
    end->info.reduce = DD_REDUCE_TREE; /* said of spheres alone, of which there are none */
    snprintf(end->kernels, sizeof end->kernels, "%s", p->name);
}

void dd_cell_body_plugin(const dd_settings *s, dd_child *child)
{
    dd_plugin p = {.self = NULL};
    dd_run_end end = {.status = DD_OK};
    dd_error error = {{0}};
    const char *path;
    dd_child_phase(child, DD_PHASE_DATA);
    dd_status st = open_data(s, &end, &path, &error);
    if (st == DD_OK) {
        dd_child_phase(child, DD_PHASE_LOAD);
        st = dd_plugin_load(s, &p, &error);
    }
    if (st == DD_OK) {
        dd_child_phase(child, DD_PHASE_OPEN);
        st = dd_plugin_open(&p, s, path, &error);
    }
    if (st != DD_OK) {
        dd_child_refuse(child, st, error.message);
        return;
    }

    dd_child_phase(child, p.table.heartbeat ? DD_PHASE_STEP : DD_PHASE_PLUGIN);
    dd_child_watch(child, p.table.heartbeat, NULL, p.self);
    st = train_steps(&p, s, child, &error);
    dd_child_watch(child, NULL, NULL, NULL);
    if (st == DD_OK) {
        dd_child_phase(child, DD_PHASE_WEIGHTS);
        st = dd_plugin_weights(&p.table, p.self, dd_child_leave(child), dd_child_beside(child),
                               &end.own, end.hash, &error);
    }
    describe(&p, &end);
    dd_child_phase(child, DD_PHASE_CLOSE);
    dd_plugin_close(&p);
    if (st == DD_OK)
        dd_child_end(child, &end);
    else
        dd_child_refuse(child, st, error.message);
}

void dd_cell_body_probe(const dd_settings *s, dd_child *child)
{
    dd_plugin p;
    dd_error error = {{0}};
    dd_child_phase(child, DD_PHASE_LOAD);
    const dd_status st = dd_plugin_load(s, &p, &error);
    /* Refused even where it is good: a run would have weights. */
    dd_child_refuse(child, st, error.message);
}
