# Arrival at a point loads and stores where it must add: of two who arrive at once, one is lost,
# and the point never opens.
# catalogue: plain-boundary-add
# source: sync/points.c
# caught: explore points-three DEADLOCK,CHECK
s/^    if (dd_u32_fetch_add(&m->arrived, 1, DD_ACQ_REL) + 1 != expected)$/    const uint32_t before = dd_u32_load(\&m->arrived, DD_ACQUIRE);\n    dd_u32_store(\&m->arrived, before + 1, DD_RELEASE);\n    if (before + 1 != expected)/
