# An array that could be opened only in part is not counted among those to be released: what it has is lost.
# source: memory/snapshot.c
# caught: explore snapshot-failing MEMORY
s/^        uint32_t i = s->n++; .*$/        uint32_t i = s->n;/
s/^        if (!open_array(&s->array\[i\], live\[i\], bytes\[i\]))$/        if (!open_array(\&s->array[i], live[i], bytes[i]) || !++s->n)/
