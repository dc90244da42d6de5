/* SPDX-License-Identifier: MIT
 * Scenario files, and through them every settings key. A file that is taken is taken again with the
 * same cells, each with a label and finished settings. */
#include <string.h>

#include "fuzz.h"
#include "scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const dd_fuzz_file file = dd_fuzz_file_open(bytes, n_bytes);
    char message[DD_SCENARIO_MESSAGE_MAX] = "";
    dd_scenario *first, *second;
    if (!dd_scenario_open(file.path, NULL, 0, &first, message)) {
        dd_fuzz_check_message(message, sizeof message);
    } else {
        if (!dd_scenario_open(file.path, NULL, 0, &second, message))
            dd_fuzz_finding("a scenario is taken once and then refused");
        if ((first->n_cells == 0 && !first->draws) || first->n_cells != second->n_cells)
            dd_fuzz_finding("a scenario without cells, or with other cells the second time");
        for (size_t i = 0; i < first->n_cells; i++)
            if (strcmp(first->cells[i].label, second->cells[i].label) != 0)
                dd_fuzz_finding("cells with other labels the second time");
        dd_scenario_close(second);
        dd_scenario_close(first);
    }
    dd_fuzz_file_close(file);
    return 0;
}
