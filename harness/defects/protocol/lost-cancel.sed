# Every request clears the cancel flag at its end, over a cancel that came in between.
# source: control/node_zero.c
# caught: explore cancel-pthread-sliced CHECK
s/if (status == DD_ERR_CANCELLED)/if (dd_u32_load(\&team->cancel, DD_RELAXED) \& DD_CANCEL_ASKED)/
