# When the threads of a change cannot be had, the formation that was made for it is forgotten and
# not released.
# catalogue: creation-failure
# source: control/membership.c
# caught: unit test_membership
# caught: explore spawn-failing MEMORY,CHECK
s/^    dd_formation_close_(f);$/    (void)0;/
