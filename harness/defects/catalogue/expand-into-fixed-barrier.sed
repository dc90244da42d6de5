# New children join the points that were made for the hierarchy before: their counts, and their
# memory, are of that one.
# catalogue: expand-into-fixed-barrier
# source: control/formation.c
# caught: explore spawn MEMORY,RACE,DEADLOCK,CHECK
s/^    if ((st = dd_points_open(options->barrier, hierarchy, options->generation, &f->points)))$/    if ((st = dd_points_open(options->barrier, before ? before->hierarchy : hierarchy, options->generation, \&f->points)))/
