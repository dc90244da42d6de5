# A worker looks at the cancel word once more after Point A and goes home, where the descriptor
# says that a step is to be run: threads of one generation decide differently, and those who stay
# wait for it at Point B. Rare, and a hang.
# catalogue: exit-decided-twice
# source: control/members.c
# caught: explore cancel-pthread-control DEADLOCK
s/^        const dd_descriptor told = team->descriptor;$/&\n        if (!control \&\& dd_u32_load(\&team->cancel, DD_RELAXED))\n            return false;/
