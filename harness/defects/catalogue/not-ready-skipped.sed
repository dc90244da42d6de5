# Who arrives at a node first does not leave the fold to the second: the operand that is not there
# yet is skipped, and the node called complete.
# catalogue: not-ready-skipped
# source: sync/fold.c
# caught: explore step-pthread-tree RACE,CHECK
# caught: unit test_fold
s/^            folder->waiting = segment;$/&\n            right = dd_plan_node(c->plan, at)->right;\n            acting = dd_plan_node(c->plan, at)->acting;\n            at = dd_plan_node(c->plan, at)->parent;\n            if (true)\n                continue;/
