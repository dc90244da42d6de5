# A thread looks for room on its timeline as soon as it has a place, before A: while the caller takes.
# source: control/members.c
# caught: explore trace-spawn RACE
s/^    pin(self, sphere->n_children == 0);$/&\n    dd_timeline_pass(\&self->timeline, f->generation);/
