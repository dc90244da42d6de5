# A placeholder in place of the loss and of its gradient: numbers that look plausible and depend on
# nothing.
# catalogue: random-gradient
# source: model/operators.c
# caught: serial --workers 1
# caught: unit test_equivalence
s/^    m->kernels->cross_entropy(ws->R, V, ws->at.logits, ws->at.tgt, m->inv_tokens, ws->at.loss);$/&\n    for (size_t i = 0; i < ws->R * V; i++)\n        ws->at.logits[i] = (float)((i * 2654435761u >> 16) % 1000) * 2e-6f - 1e-3f;\n    for (size_t r = 0; r < ws->R; r++)\n        ws->at.loss[r] = 3.25f;/
