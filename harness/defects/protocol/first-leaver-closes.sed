# Every member takes itself for the last to leave.
# source: sync/points.c
# caught: explore leave-deep MEMORY,RACE
s/g->leaving.expected = s->n_children + 1;/g->leaving.expected = 1;/
