# Close joins the threads without a word to Node Zero, which sleeps and crosses no Point A any
# more. A perfect run hangs at its end, every time.
# catalogue: close-joins-parked
# source: control/team.c
# caught: explore step-pthread-tree DEADLOCK
# caught: watchdog --workers 2
s/^        post_and_await(team, &end);$/        (void)end;/
