# Node Zero looks at parked segments before Point B.
# source: control/team.c
# caught: step-pthread-control RACE
s/    node_zero_cross(team, DD_POINT_B);/    if (wanted == COMMAND_STEP)\n        (void)decide(team, DD_OK);\n    node_zero_cross(team, DD_POINT_B);/
