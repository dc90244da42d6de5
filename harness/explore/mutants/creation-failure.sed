# When a thread cannot be created, those already waiting at the gate are joined without being let go.
# source: control/team.c
# caught: creation-pthread DEADLOCK
s/dd_eventcount_advance(&team->gate); \/\* go is false/(void)0; \/* go is false/
