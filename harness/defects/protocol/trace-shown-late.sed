# A thread lets the caller see its timeline only after it has arrived at U: while the caller looks.
# source: control/members.c
# caught: explore trace-tree-tree RACE
s/^    const bool acts = dd_points_arrive(.*$/&\n    dd_timeline_show(\&self->timeline);/
/^static bool arrive/,/^}/s/^        dd_timeline_show(&self->timeline);$/        (void)0;/
