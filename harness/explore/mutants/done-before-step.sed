# The request is answered between V and U: the caller reads weights that still change.
# source: control/team.c
# caught: step-pthread-tree RACE CHECK
s/    node_zero_cross(team, DD_POINT_U);/    if (wanted != COMMAND_STOP)\n        dd_eventcount_advance(\&team->replied);\n    node_zero_cross(team, DD_POINT_U);/
s/^        dd_eventcount_advance(&team->replied);$/        (void)0;/
