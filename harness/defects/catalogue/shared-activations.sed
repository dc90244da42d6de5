# All workers run forward and backward on the first one's workspace.
# catalogue: shared-activations
# source: trainer/callbacks.c
# caught: tsan --workers 2 --reduce tree
# caught: helgrind --workers 2 --reduce tree
# caught: drd --workers 2 --reduce tree
s/^    dd_lane work = lanes_of(t, lane, n_lanes);$/&\n    worker = 0;/
