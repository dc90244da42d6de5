# The last of two workers does not let the other through.
# source: sync/points.c
# caught: explore points-tree DEADLOCK
s/dd_eventcount_advance(&self->pair->returned);/(void)0;/
