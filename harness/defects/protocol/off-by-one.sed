# The centre expects one triangle less: Points B and U open before everybody is there.
# source: sync/points.c
# caught: explore points-deep RACE,CHECK
s/g->centre.expected += /g->centre.expected = /
