# A worker's thread goes home at the end of an epoch. The first step of the second epoch waits for
# it for ever.
# catalogue: one-shot-threads
# source: control/members.c
# caught: unit test_process
s/^                worker_generation(self, told.doing);$/                {\n                    worker_generation(self, told.doing);\n                    if (team->work.epoch_ended \&\& team->work.epoch_ended(team->work.user))\n                        return false;\n                }/
