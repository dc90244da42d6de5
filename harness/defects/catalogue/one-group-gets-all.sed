# The first worker gets all lanes. The weights are right; the others have nothing to do.
# catalogue: one-group-gets-all
# source: spheres/placement.c
# caught: unit test_placement
s/^    assert(i == n);$/    share[0] = (dd_share){.first = d.runs.lane[0],\n                          .count = d.runs.lane[n - 1] + 1 - d.runs.lane[0],\n                          .n_lanes = n,\n                          .tokens = d.runs.before[n]};\n    memset(share + 1, 0, (n_workers - 1) * sizeof *share);/
