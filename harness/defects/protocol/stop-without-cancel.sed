# A stop is posted without the word that cancels lanes.
# source: control/team.c
# caught: explore stop-pthread CHECK
s/dd_u32_fetch_add(&team->cancel, DD_STOP_ASKED, DD_RELAXED);/(void)0;/
