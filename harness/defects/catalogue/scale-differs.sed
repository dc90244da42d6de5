# The parallel path leaves out the 1 / (B T) that the serial one has. Clipping hides nearly all of
# it.
# catalogue: scale-differs
# source: trainer/trainer.c
# caught: serial --workers 1
# caught: unit test_equivalence
s/\.inv_tokens = 1\.0f \/ (float)(B \* T)}/.inv_tokens = 1.0f}/
