# A sender sees its mail answered without acquiring: it reads the reply before it is there.
# source: control/mailbox.c
# caught: explore mailbox-rung RACE
s/dd_u32_load(&mail->answered, DD_ACQUIRE)/dd_u32_load(\&mail->answered, DD_RELAXED)/
