# A command keeps the word in which stops are counted while it is carried out, a checkpoint
# included, and puts it back afterwards, over a stop that came in between.
# catalogue: stop-overwritten
# source: control/node_zero.c
# caught: explore senders CHECK,DEADLOCK
# caught: unit test_commands
s/^        status = carry_out(self, m);$/    {\n        const uint32_t kept = dd_u32_load(\&team->cancel, DD_RELAXED);\n        status = carry_out(self, m);\n        dd_u32_store(\&team->cancel, kept, DD_RELAXED);\n    }/
