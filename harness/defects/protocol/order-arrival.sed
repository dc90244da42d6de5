# Arrivals at a triangle or centre order nothing: the last one does not see what the others did.
# source: sync/points.c
# caught: explore points-collect RACE
s/fetch_add(&m->arrived, 1, DD_ACQ_REL)/fetch_add(\&m->arrived, 1, DD_RELAXED)/
