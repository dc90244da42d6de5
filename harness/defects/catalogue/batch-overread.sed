# A lane's pointer is given to a loop over all rows at work: later lanes count repeatedly, and the
# last ones read beyond the end of the activations.
# catalogue: batch-overread
# source: model/operators.c
# caught: asan --workers 1
# caught: memcheck --workers 1
# caught: serial --workers 1
s/^        const double loss = sum_loss(begun, ws->at.loss + lane.first, lane.n);$/        const double loss = sum_loss(begun, ws->at.loss + lane.first, ws->R);/
s/^        m->kernels->bias_grad(lane.n, N, /        m->kernels->bias_grad(ws->R, N, /
