# A lane that was cancelled is posted as if it had run: slices are folded of a step that lacks it.
# source: control/lanes.c
# caught: explore cancel-pthread-owner CHECK
s/skipping ? DD_NO_SEGMENT : op->from, &self->folder/op->from, \&self->folder/
