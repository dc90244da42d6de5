# A sender rings where senders wait for answers, and Node Zero sleeps on the other eventcount: its
# wake-up is lost.
# catalogue: wrong-condition
# source: control/mailbox.c
# caught: explore mailbox DEADLOCK
s/^    dd_eventcount_advance_shared(&box->bell);$/    dd_eventcount_advance_shared(\&box->answer);/
