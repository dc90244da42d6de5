/* SPDX-License-Identifier: MIT
 * junit.xml, as CI systems read it: a test suite for the scenario, a test case for every check that
 * applies to a run. */
#include "report.h"

typedef struct tally {
    size_t tests, failures, errors, skipped;
} tally;

static void count(tally *t, const dd_check_row *row)
{
    dd_verdict verdict = row->verdict;
    if (!row->applies)
        return;
    t->tests++;
    t->failures += verdict == DD_FAIL;
    t->errors += verdict == DD_HANG || verdict == DD_CRASH;
    t->skipped += verdict == DD_SKIP;
}

static void write_element(const char *element, const char *message, const char *body, FILE *out)
{
    fprintf(out, "      <%s message=\"", element);
    dd_text_xml(message, out);
    fputs("\">", out);
    dd_text_xml(body ? body : "", out);
    fprintf(out, "</%s>\n", element);
}

static void write_case(const dd_sweep *sweep, const dd_sweep_cell *cell, uint32_t repeat,
                       size_t check, bool first, FILE *out)
{
    const dd_sweep_run *run = &cell->repeats[repeat];
    const dd_check_row *row = &run->check[check];
    size_t n;
    fputs("    <testcase classname=\"", out);
    dd_text_xml(sweep->scenario->name, out);
    fputs(cell->plan->label[0] ? "." : "", out);
    dd_text_xml(cell->plan->label, out);
    /* The run's time is told once, or a sum over cases would count it once a check. */
    fprintf(out, "\" name=\"%s, repeat %u\" time=\"%.3f\"", dd_checks(&n)[check].name, repeat + 1,
            first ? (double)run->run.wall_ns * 1e-9 : 0);
    if (row->verdict == DD_PASS) {
        fputs("/>\n", out);
        return;
    }
    fputs(">\n", out);
    if (row->verdict == DD_SKIP)
        write_element("skipped", row->reason, NULL, out);
    else if (row->verdict == DD_FAIL)
        write_element("failure", row->reason, run->run.log, out);
    else
        write_element("error", row->reason, run->run.log, out);
    fputs("    </testcase>\n", out);
}

static void write_run(const dd_sweep *sweep, const dd_sweep_cell *cell, uint32_t repeat, FILE *out)
{
    bool first = true;
    size_t n;
    (void)dd_checks(&n);
    for (size_t k = 0; k < n; k++) {
        if (!cell->repeats[repeat].check[k].applies)
            continue;
        write_case(sweep, cell, repeat, k, first, out);
        first = false;
    }
}

bool dd_report_junit(const dd_sweep *sweep, FILE *out)
{
    const dd_scenario *scenario = sweep->scenario;
    tally t = {0};
    size_t n;
    (void)dd_checks(&n);
    for (size_t i = 0; i < scenario->n_cells; i++)
        for (uint32_t r = 0; r < sweep->cells[i].n_repeats; r++)
            for (size_t k = 0; k < n; k++)
                count(&t, &sweep->cells[i].repeats[r].check[k]);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"", out);
    dd_text_xml(scenario->name, out);
    fprintf(out,
            "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
            t.tests, t.failures, t.errors, t.skipped, (double)sweep->wall_ns * 1e-9);
    for (size_t i = 0; i < scenario->n_cells; i++)
        for (uint32_t r = 0; r < sweep->cells[i].n_repeats; r++)
            write_run(sweep, &sweep->cells[i], r, out);
    fputs("  </testsuite>\n</testsuites>\n", out);
    return !ferror(out);
}
