# The two workers of a pair arrive without releasing: the last one gives a verdict on gradients it does not see.
# source: sync/points.c
# caught: explore points-tree RACE
s/fetch_add(&self->pair->arrivals, 1, DD_ACQ_REL)/fetch_add(\&self->pair->arrivals, 1, DD_ACQUIRE)/
