# The new checkpoint is written over the old one, and not beside it: who is killed meanwhile leaves
# neither.
# catalogue: written-in-place
# source: checkpoint/whole_file.c
# caught: unit test_save_kill
s/^    (void)snprintf(file->temporary, room, "%s%s", path, suffix);$/    (void)snprintf(file->temporary, room, "%s", path);/
