# All pages of a range are counted, those with a copy once more: it looks as if all were copied, and the next writer copies nothing.
# source: memory/snapshot.c
# caught: explore snapshot CHECK
s/^    if (copied)$/    if ((copied = end - first \/ PAGE))/
