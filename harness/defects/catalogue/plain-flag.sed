# The flag by which a mail is answered is a plain field that one thread writes while another reads
# it.
# catalogue: plain-flag
# source: control/mailbox.c
# caught: explore mailbox RACE
# caught: tsan --workers 2
# caught: helgrind --workers 2
s/^    dd_u32_store(&mail->answered, 1, DD_RELEASE);.*$/    DD_WRITE(\&mail->next, sizeof mail->next);\n    mail->next = mail;/
s/^        if (dd_u32_load(&mail->answered, DD_ACQUIRE))$/        DD_READ(\&mail->next, sizeof mail->next);\n        if (mail->next == mail)/
