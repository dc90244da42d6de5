# A snapshot that takes another's place has its number: the other's copies count as its own, and nothing is copied.
# source: memory/snapshot.c
# caught: explore snapshot-again CHECK
s/^    s->take++;$/    s->take += !s->held;/
