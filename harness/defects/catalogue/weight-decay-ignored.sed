# The weight decay is read, checked, and used nowhere.
# catalogue: config-ignored
# source: model/adamw.c
# caught: serial --workers 1
# caught: unit test_equivalence
s/^        \.weight_decay = (float)config->weight_decay,$/        .weight_decay = 0,/
