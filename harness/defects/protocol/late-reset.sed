# Whoever waits is told before the counters are reset: the reset may hit the next round's arrivals.
# source: sync/points.c
# caught: explore points-three DEADLOCK
s/dd_u32_store(&m->arrived, 0, DD_RELAXED);/(void)0;/
s/dd_eventcount_advance(&self->siblings->collected);/{ dd_eventcount_advance(\&self->siblings->collected); for (uint32_t t = 0; t < N_TRIANGLES; t++) dd_u32_store(\&self->siblings->triangle[t].arrived, 0, DD_RELAXED); dd_u32_store(\&self->siblings->centre.arrived, 0, DD_RELAXED); }/
s/dd_eventcount_advance(&acting->children->returned);/{ dd_eventcount_advance(\&acting->children->returned); for (uint32_t t = 0; t < N_TRIANGLES; t++) dd_u32_store(\&acting->children->triangle[t].arrived, 0, DD_RELAXED); dd_u32_store(\&acting->children->centre.arrived, 0, DD_RELAXED); }/
