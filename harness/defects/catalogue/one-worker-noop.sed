# With one worker there is nothing to share out, so nothing is done: every step succeeds, and no
# weight changes.
# catalogue: one-worker-noop
# source: control/members.c
# caught: explore alone-pthread-owner CHECK
# caught: serial --workers 1
s/^    if (team->update)$/    if (team->update \&\& self->formation->hierarchy->n_workers > 1)/
