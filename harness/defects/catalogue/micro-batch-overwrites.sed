# A long sum is cut into parts, and each part begins anew instead of going on with what the one
# before has left.
# catalogue: micro-batch-overwrites
# source: kernels/matmul.c
# caught: serial --workers 1 --model L=1,NH=1,C=256,V=64,T=4 --batch 4
s/^        if (resumes) {$/        if (resumes \&\& m->sink == DD_RESUME) {/
