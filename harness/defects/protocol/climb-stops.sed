# A climb stops at the triangle: nobody acts for Node Zero.
# source: sync/points.c
# caught: explore points-deep DEADLOCK
s/return last_to_arrive(&self->siblings->centre);/return false;/
