/* SPDX-License-Identifier: MIT
 * Records of runs, read as `dodeca diff` reads them. One that is taken parts from itself nowhere,
 * in its settings or its steps. */
#include <stdlib.h>

#include "diff.h"
#include "fuzz.h"

static void check_with_itself(dd_record record[2])
{
    char message[DD_MESSAGE_MAX] = "";
    dd_diff_settings *settings = malloc(sizeof *settings);
    dd_diff_steps steps;
    if (!settings)
        return;
    dd_diff_settings_compare(&record[0].head, &record[1].head, settings);
    if (settings->n || !settings->same_data || !settings->same_shape || !settings->same_program)
        dd_fuzz_finding("a record has other settings than itself");
    free(settings);
    if (!dd_diff_steps_compare(record, &steps, message))
        dd_fuzz_check_message(message, sizeof message);
    else if (steps.parted || steps.steps[0] != steps.steps[1] || steps.cut[0] != steps.cut[1])
        dd_fuzz_finding("a record parts from itself");
    else if (steps.steps[0] > record[0].head.settings.steps)
        dd_fuzz_finding("a record has more steps than its head says");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const dd_fuzz_file file = dd_fuzz_file_open(bytes, n_bytes);
    static dd_record record[2];
    char message[DD_MESSAGE_MAX] = "";
    if (!dd_record_open(file.path, &record[0], message)) {
        dd_fuzz_check_message(message, sizeof message);
    } else {
        if (!dd_record_open(file.path, &record[1], message))
            dd_fuzz_finding("a record is taken once and then refused");
        check_with_itself(record);
        dd_record_close(&record[1]);
    }
    dd_record_close(&record[0]);
    dd_fuzz_file_close(file);
    return 0;
}
