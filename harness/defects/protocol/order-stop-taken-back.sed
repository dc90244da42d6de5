# A stop is taken back relaxed: who sees it gone may still see the state before it, running.
# source: control/node_zero.c
# caught: explore stop-watched CHECK
s/dd_u32_fetch_add(&team->cancel, -DD_STOP_ASKED, DD_RELEASE)/dd_u32_fetch_add(\&team->cancel, -DD_STOP_ASKED, DD_RELAXED)/
