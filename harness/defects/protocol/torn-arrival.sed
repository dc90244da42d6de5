# Arrival at a fold node loads and stores instead of adding: two arrivers may both think they are first, and no root comes.
# source: sync/fold.c
# caught: explore step-pthread-tree CHECK,RACE
s/if (dd_u32_fetch_add(&node->arrived, 1, DD_ACQ_REL) == 0)/uint32_t before = dd_u32_load(\&node->arrived, DD_ACQUIRE);\n        dd_u32_store(\&node->arrived, before + 1, DD_RELEASE);\n        if (before == 0)/
