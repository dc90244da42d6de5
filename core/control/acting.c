/* SPDX-License-Identifier: MIT
 * What is done once for all between B and V: by the last thread to arrive, in Node Zero's place, or
 * by Node Zero itself. Which thread that is leaves no trace in the bits. */
#include <assert.h>

#include "inside.h"

void dd_act_root_(dd_member *self, uint32_t segment)
{
    dd_team *team = self->team;
    DD_WRITE(&team->root, sizeof team->root);
    team->root = segment;
    if (segment != DD_NO_SEGMENT && !team->slices)
        team->work.root(team->work.user, self->number, segment);
}

void dd_act_slices_(dd_member *self)
{
    dd_team *team = self->team;
    dd_member_at_(self, DD_AT_COMBINE, 0);
    DD_WRITE(&team->n_fold_list, sizeof team->n_fold_list);
    DD_WRITE(&team->root, sizeof team->root);
    team->n_fold_list = dd_combine_list(self->formation->combine, &team->fold_list, &team->root);
    if (team->root != DD_NO_SEGMENT)
        self->folder.n_folds += team->n_fold_list;
    dd_tally_set(&self->health.folds, self->folder.n_folds);
}

/* Whether everything asked for was done, and with the right arithmetic. */
static dd_status judge(dd_team *team, const dd_formation *f)
{
    bool cancelled = false;
    uint32_t culprit = UINT32_MAX;
    for (uint32_t s = 0; s < f->hierarchy->n_spheres; s++) {
        const uint32_t thread = f->thread[s];
        const dd_report *r = &team->member[thread].report;
        DD_READ(r, sizeof *r);
        cancelled |= r->cancelled;
        if (r->fp_env != DD_FP_ENV_DEFAULT && thread < culprit) {
            culprit = thread;
            team->fp_env = r->fp_env;
        }
    }
    if (culprit != UINT32_MAX) {
        team->culprit = culprit;
        return DD_ERR_FP_ENV;
    }
    if (!cancelled)
        return DD_OK;
    /* The word stands until Node Zero has answered: it is what the lanes found, or more. */
    return dd_u32_load(&team->cancel, DD_RELAXED) & DD_CANCEL_ASKED ? DD_ERR_CANCELLED
                                                                    : DD_ERR_STOPPED;
}

void dd_act_verdict_(dd_member *self, dd_doing doing)
{
    dd_team *team = self->team;
    dd_member_at_(self, DD_AT_VERDICT, 0);
    if (self->report.fp_env == DD_FP_ENV_DEFAULT)
        self->report.fp_env = dd_fp_env(); /* it may have folded since it looked */
    DD_WRITE(&team->status, sizeof team->status);
    DD_WRITE(&team->update, sizeof team->update);
    team->status = judge(team, self->formation);
    team->update = false;
    if (doing != DD_DOING_STEP)
        return;
    uint32_t root = DD_NO_SEGMENT;
    if (team->status == DD_OK) {
        DD_READ(&team->root, sizeof team->root);
        root = team->root;
        assert(root != DD_NO_SEGMENT);
    }
    team->update = team->work.verdict(team->work.user, root) && root != DD_NO_SEGMENT;
}
