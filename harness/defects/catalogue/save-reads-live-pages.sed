# A save writes out the weights as they are when it comes to them, and not the copies that updates
# left for it: half of the file is of a later step.
# catalogue: save-of-live-weights
# source: trainer/save_file.c
# caught: unit test_checkpoint a_save_is_of_its_moment
# caught: tsan test_checkpoint
s/^    dd_snapshot_read(s->snapshot, array, first, bytes, out);$/    memcpy(out, (const char *)s->live[array] + first, bytes);/
s/^    dd_snapshot \*snapshot; .*$/&\n    float *live[DD_KEPT_ARRAYS];/
s/^    s->snapshot = t->saved;$/&\n    memcpy(s->live, t->kept_array, sizeof s->live);/
