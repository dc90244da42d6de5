# Workers update first and wait for the verdict afterwards.
# source: control/team.c
# caught: step-pthread-tree RACE CHECK
s/^        worker_cross(self, DD_POINT_V);/        (void)0;/
s/^        worker_cross(self, DD_POINT_U);/        worker_cross(self, DD_POINT_V);\n        worker_cross(self, DD_POINT_U);/
