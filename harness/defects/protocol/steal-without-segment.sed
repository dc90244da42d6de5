# A thief does not ask whether it has a segment for what it steals.
# source: control/lanes.c
# caught: explore steal-pthread-tree CHECK
s/while (!skipping && (is_apart(self) || self->n_free > 0) &&/while (!skipping \&\&/
