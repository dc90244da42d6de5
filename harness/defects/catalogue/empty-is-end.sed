# Node Zero takes a mailbox that is empty for a moment for the end of all work, and sends everybody
# home.
# catalogue: empty-is-end
# source: control/node_zero.c
# caught: explore step-pthread-tree DEADLOCK
# caught: watchdog --workers 2
s/^        if (m) {$/        if (!m) {\n            dd_node_zero_publish_(self, DD_DOING_END, NULL);\n            return;\n        } else {/
