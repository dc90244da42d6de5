# A sleeper that returns from the futex does not look again: a spurious return lets a worker through Point A early.
# source: sync/eventcount.c
# caught: explore points-tree RACE,CHECK
s/while (!moved_on(word, seen))/if (!moved_on(word, seen))/
