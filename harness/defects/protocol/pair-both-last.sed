# Of two workers each takes itself for the last to arrive.
# source: sync/points.c
# caught: explore points-tree RACE,CHECK
s/fetch_add(&self->pair->arrivals, 1, DD_ACQ_REL) & 1;/fetch_add(\&self->pair->arrivals, 1, DD_ACQ_REL) <= UINT32_MAX;/
