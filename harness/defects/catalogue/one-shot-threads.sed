# A worker's thread goes home at the end of an epoch. The first step of the second epoch waits for
# it for ever.
# catalogue: one-shot-threads
# source: control/members.c
# caught: unit test_process
# caught: watchdog --workers 2 --data builtin --model L=1,NH=1,C=8,V=64,T=64 --batch 48 --steps 400
s/^                worker_generation(self, told.doing);$/                {\n                    worker_generation(self, told.doing);\n                    if (team->work.epoch_ended \&\& team->work.epoch_ended(team->work.user))\n                        return false;\n                }/
