# A new file takes its name before its bytes are on the disk: a loss of power leaves a whole file's
# name on half a file. No kill shows it, since the system keeps what was written.
# catalogue: named-before-synced
# source: checkpoint/whole_file.c
# caught: unit test_save_kill
s/^    dd_status st = fsync(file->fd) == 0 ? DD_OK : failed(file, "synced", error);$/    dd_status st = DD_OK;/
