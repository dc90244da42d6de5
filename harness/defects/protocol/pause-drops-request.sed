# A request that comes while paused is forgotten.
# source: control/node_zero.c
# caught: explore pause-pthread DEADLOCK
s/^            return;$/        {\n            team->held = NULL;\n            return;\n        }/
