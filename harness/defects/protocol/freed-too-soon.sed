# Node Zero releases the old formation when it leaves, not when the last member has left.
# source: control/membership.c
# caught: explore terminate MEMORY,RACE
s/if (!dd_points_leave(old->points, DD_NODE_ZERO))/if (!dd_points_leave(old->points, DD_NODE_ZERO) \&\& !f)/
