# The state that the control process leaves is stored relaxed: who sees STOPPED need not see what the threads did.
# source: control/node_zero.c
# caught: explore stop-watched RACE
s/dd_u32_store(&team->state, state, DD_RELEASE)/dd_u32_store(\&team->state, state, DD_RELAXED)/
