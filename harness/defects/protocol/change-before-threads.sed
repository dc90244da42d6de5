# A change of membership is published before the threads it needs exist.
# source: control/membership.c
# caught: explore spawn DEADLOCK,CHECK,RACE,MEMORY
s/^    if ((st = dd_members_start_(team, f->n_threads))) {$/    change_to(self, f);\n    if ((st = dd_members_start_(team, f->n_threads))) {/
s/^    change_to(self, f);$/    (void)0;/
