# Of a lane's sequences only the last one's bias gradients remain. Nothing shows where each lane
# has one sequence.
# catalogue: last-sequence-wins
# source: model/operators.c
# caught: serial --workers 2 --batch 24
s/^        m->kernels->bias_grad(lane.n, N, gy + lane.first \* N, N, /        m->kernels->bias_grad(m->T, N, gy + (lane.first + lane.n - m->T) * N, N, /
