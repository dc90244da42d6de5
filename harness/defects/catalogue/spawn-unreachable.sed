# The policy expands only what has been expanded before: the hierarchy never grows.
# catalogue: spawn-unreachable
# source: control/policy.c
# caught: unit test_policy
# caught: unit test_membership
s/^    if (policy->below >= DD_AUTO_PATIENCE) {$/    if (policy->below >= DD_AUTO_PATIENCE \&\& h->n_controls > 1) {/
