# Among the siblings that a worker looks at is the worker itself.
# catalogue: self-contact
# source: sync/queues.c
# caught: unit test_queues
s/^        if (s != self && h->sphere\[s\].n_children == 0 &&$/        if (h->sphere[s].n_children == 0 \&\&/
