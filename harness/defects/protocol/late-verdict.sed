# Who acts for Node Zero lets the others through to V before the verdict is written.
# source: control/members.c
# caught: explore step-tree-tree RACE,CHECK
s/^            dd_act_verdict_(self, doing);$/        {\n            go_on(self, DD_WAIT_V);\n            dd_act_verdict_(self, doing);\n            goto through;\n        }/
s/^    go_on(self, DD_WAIT_V);$/    go_on(self, DD_WAIT_V);\nthrough:/
