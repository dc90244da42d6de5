# Node Zero folds parked segments before Point B.
# source: control/node_zero.c
# caught: explore step-pthread-control RACE
s/^    collect_all(self, DD_WAIT_B); .*/    if (!team->climb \&\& doing == DD_DOING_STEP)\n        cross_points(self, doing);\n    collect_all(self, DD_WAIT_B);/
