# A queue's "true, here is a lane" is taken for its end: a worker's own lanes are dropped, all of
# them.
# catalogue: inverted-return
# source: control/lanes.c
# caught: explore steal-twice CHECK,MEMORY
# caught: serial --workers 1 --steal --reduce tree
s/^    while (dd_queues_take(f->queues, self->worker, &lane))$/    while (!dd_queues_take(f->queues, self->worker, \&lane))/
