# When a thread cannot be created, those already in the pool are joined without being sent home.
# source: control/team.c
# caught: explore creation-pthread DEADLOCK
s/!team->begun || team->formation->sphere_of/team->begun \&\& team->formation->sphere_of/
