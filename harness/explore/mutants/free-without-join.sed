# Close releases the team while its threads may still be on their way out.
# source: control/team.c
# caught: step-pthread-tree RACE MEMORY
s/for (uint32_t w = 0; w < team->n_started; w++)/for (uint32_t w = team->n_started; w < team->n_started; w++)/
