# A message is freed right after it was queued.
# catalogue: message-freed-by-sender
# source: control/team.c
# caught: explore step-pthread-tree MEMORY
# caught: asan --workers 2
# caught: memcheck --workers 2
s/^    dd_mailbox_post(&team->mailbox, &m->mail);$/    dd_order_mail *sent = dd_alloc(sizeof *sent);\n    *sent = *m;\n    dd_mailbox_post(\&team->mailbox, \&sent->mail);\n    dd_free(sent);/
s/^    dd_mailbox_await(&team->mailbox, &m->mail);$/    dd_mailbox_await(\&team->mailbox, \&sent->mail);\n    *m = *sent;/
