# A control writes down what its new child is to join, and does not wake it.
# source: control/members.c
# caught: explore step-pthread-tree DEADLOCK
s/^    dd_eventcount_advance(&m->called);$/    if (m->number == DD_NODE_ZERO || m->quit)\n        dd_eventcount_advance(\&m->called);/
