# From step 3 on, before each of its lanes, worker 0 writes one float into the middle of another worker's live gradient
# segment. In every step, since keys take turns where there are more segments than keys.
# Weights may differ from run to run, as the owner has stored its lane by then or not. Seen where there are protection keys.
# source: trainer/callbacks.c
# caught: guard
s/^    dd_gpt2_gradient(&t->model, t->workspace\[worker\], &work, fold ? DD_FOLD : DD_STORE,$/    for (uint32_t s = 0; worker == 0 \&\& dd_u64_load(\&t->step, DD_RELAXED) >= 3 \&\& s < t->segments.n; s++)\n        if (t->segment_owner[s] != 0 \&\& t->segment_owner[s] != UINT32_MAX) {\n            t->segments.at[s].dense[t->P \/ 2] += 1;\n            break;\n        }\n&/
