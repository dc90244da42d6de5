# The last arriver of a meeting does not reset its counter: nobody is last in the next round.
# source: sync/points.c
# caught: explore points-deep DEADLOCK
s/dd_u32_store(&m->arrived, 0, DD_RELAXED)/(void)0/
