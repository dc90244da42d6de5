# Node Zero is told before the counters are reset: the reset may hit the next round's arrivals.
# source: sync/points.c
# caught: points-three DEADLOCK
s/else if (last_to_arrive(&p->triangle\[self->triangle\]) && last_to_arrive(&p->centre))/else if (dd_u32_fetch_add(\&p->triangle[self->triangle].arrived, 1, DD_ACQ_REL) + 1 == p->triangle[self->triangle].expected \&\& last_to_arrive(\&p->centre)) {/
s/dd_eventcount_advance(&p->collected);/{ dd_eventcount_advance(\&p->collected); for (uint32_t t = 0; t < N_TRIANGLES; t++) dd_u32_store(\&p->triangle[t].arrived, 0, DD_RELAXED); } }/
