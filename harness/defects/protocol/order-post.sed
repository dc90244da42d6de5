# A mail is posted without releasing: the receiver reads what was there before it was written.
# source: control/mailbox.c
# caught: explore mailbox-rung RACE
s/(uint64_t)(uintptr_t)mail, DD_RELEASE,/(uint64_t)(uintptr_t)mail, DD_RELAXED,/
