# A thief puts a lane that has its own segment into its own first one.
# source: control/lanes.c
# caught: explore steal-pthread-owner CHECK,RACE
s/^        return leaf.segment;$/        return (dd_plan_segments(self->formation->plan, self->worker, \&leaf.segment), leaf.segment);/
