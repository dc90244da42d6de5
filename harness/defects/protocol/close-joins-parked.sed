# Close sends nobody home from the pool: a hang at the end of every run that shrank.
# source: control/team.c
# caught: explore terminate DEADLOCK
s/!team->begun || team->formation->sphere_of\[t\] == DD_NO_SPHERE/!team->begun/
