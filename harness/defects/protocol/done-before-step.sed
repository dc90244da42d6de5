# The request is answered between V and U: the caller reads weights that still change.
# source: control/node_zero.c
# caught: explore step-pthread-tree RACE,CHECK
s/^    dd_member_worked_(self);$/    dd_mailbox_answer(\&self->team->mailbox, \&self->team->held->mail);/
s/^    answer(team, m, status);\( \/\*.*\)*$/    (void)(m->kind == DD_MAIL_REQUEST ? (void)0 : answer(team, m, status));/
