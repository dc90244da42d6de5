# Workers update first and wait for the verdict afterwards.
# source: control/members.c
# caught: explore step-pthread-tree RACE,CHECK
s/^    go_on(self, DD_WAIT_V);$/    (void)0;/
s/^    if (arrive(self, DD_WAIT_U))$/    go_on(self, DD_WAIT_V);\n    if (arrive(self, DD_WAIT_U))/
