# Every request clears the cancel flag at its end, over a cancel that came in between.
# source: control/team.c
# caught: cancel-pthread-control CHECK
s/if (status == DD_ERR_CANCELLED)/if (team->n_workers)/
