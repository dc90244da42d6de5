# A control waits for all twelve children, whether it has them or not: a hang with less than twelve
# workers.
# catalogue: fixed-child-count
# source: sync/points.c
# caught: explore points-three DEADLOCK
# caught: watchdog --workers 3
s/^        g->centre.expected += g->triangle\[child->triangle\].expected++ == 0;$/        g->triangle[child->triangle].expected = 3;\n        g->centre.expected = N_TRIANGLES;/
