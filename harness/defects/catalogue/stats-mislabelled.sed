# What is told as the gradient's norm is the learning rate.
# catalogue: stats-mislabelled
# source: trainer/callbacks.c
# caught: unit test_equivalence
/^static bool run_verdict/,/^}/s/^    return true;$/    step->norm = step->lr;\n&/
