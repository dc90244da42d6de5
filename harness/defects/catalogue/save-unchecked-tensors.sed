# Checksums are written, and looked at by nobody: a damaged checkpoint is gone on from.
# catalogue: checksum-ignored
# source: checkpoint/checkpoint.c
# caught: unit test_checkpoint_file
s/^    if (memcmp(sum, c->sum\[i\], sizeof sum) == 0)$/    if (memcmp(sum, c->sum[i], 0) == 0)/
