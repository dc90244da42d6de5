# The former checkpoint is moved out of the way before the new one is there: who is killed between
# the two leaves no file of that name.
# catalogue: rotated-too-early
# source: checkpoint/whole_file.c
# caught: unit test_save_kill
s/^    if (keep < 2 || access(file->path, F_OK) != 0 || already_kept(file))$/    if (access(file->path, F_OK) != 0 || already_kept(file))/
s/^    if (link(file->path, file->older) == 0)$/    if (false)/
s/^    if (!has_no_links(errno) || rename(file->path, file->older) != 0)$/    if (!has_no_links(EPERM) || rename(file->path, file->older) != 0)/
