# The slices are released before the list of folds is made.
# source: control/node_zero.c
# caught: explore step-pthread-sliced RACE,CHECK
s/^        release_all(self);$/        dd_act_slices_ (self);/
s/^        dd_act_slices_(self);$/        release_all(self);/
