# A mail is pushed with one try: that of a sender who was overtaken is lost.
# source: control/mailbox.c
# caught: explore mailbox DEADLOCK
s/} while (!dd_u64_compare_exchange(/} while (false \& dd_u64_compare_exchange(/
