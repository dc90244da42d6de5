# Two workers are taken for a pair though one of them stands below a control.
# source: sync/points.c
# caught: explore points-uneven DEADLOCK
s/h->n_workers != 2 || h->n_controls != 1/root->n_children != 2 || h->n_workers != 2/
