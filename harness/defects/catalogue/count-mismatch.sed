# The barrier upwards expects one thread more than come to it: the caller, who waits for the answer
# to its request elsewhere. The first step hangs.
# catalogue: count-mismatch
# source: sync/points.c
# caught: explore points-pthread DEADLOCK
# caught: watchdog --workers 2 --barrier pthread
s/^        g->up = dd_pbarrier_open(s->n_children + 1);$/        g->up = dd_pbarrier_open(s->n_children + 2);/
