/* SPDX-License-Identifier: MIT
 * What is common to the benchmarks of `dodeca bench`: the head of the report, running them, and the
 * verdict. */
#include "suite.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "build_info.h"
#include "commands.h"
#include "kernels.h"
#include "machine.h"
#include "report.h"

static bool differs, lacks;
static char left_out[1024];

/* ---- Verdicts ---- */

__attribute__((format(printf, 3, 0))) static void skip(gb_state *state, const char *verdict,
                                                       const char *format, va_list arguments)
{
    char why[384];
    const size_t n = (size_t)snprintf(why, sizeof why, "%s: ", verdict);
    (void)vsnprintf(why + n, sizeof why - n, format, arguments);
    gb_skip(state, why);
}

void dd_suite_differs(gb_state *state, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    skip(state, "FAIL", format, arguments);
    va_end(arguments);
    differs = true;
}

void dd_suite_lacks(gb_state *state, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    skip(state, "SKIP", format, arguments);
    va_end(arguments);
    lacks = true;
}

/* ---- The head of the report ---- */

void dd_suite_left_out(const char *name, const char *why)
{
    const size_t n = strlen(left_out);
    (void)snprintf(left_out + n, sizeof left_out - n, "%s%s: %s", n ? "; " : "", name, why);
}

static void tell_kernel_sets(void)
{
    static const dd_simd all[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    char sets[128] = "";
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const dd_kernels *set = dd_kernels_select(all[i], NULL);
        const size_t n = strlen(sets);
        if (set)
            (void)snprintf(sets + n, sizeof sets - n, "%s%s", n ? " " : "", set->name);
    }
    gb_context("dodeca_kernel_sets", sets);
}

static void tell_build(void)
{
    const char *untimeable = dd_report_untimeable();
    char build[96];
    (void)snprintf(build, sizeof build, "%s%s%s%s%s", dd_build.type,
                   dd_build.sanitizer[0] ? ", -fsanitize=" : "", dd_build.sanitizer,
                   untimeable ? "; no measurement: " : "", untimeable ? untimeable : "");
    gb_context("dodeca_version", dd_build.version);
    gb_context("dodeca_commit", dd_build.commit);
    gb_context("dodeca_compiler", dd_build.compiler);
    gb_context("dodeca_flags", dd_build.flags);
    gb_context("dodeca_build", build);
    if (untimeable)
        fprintf(stderr, "dodeca bench: this is a %s: its times are no measurement\n", untimeable);
}

static void tell_machine(void)
{
    dd_machine m;
    char cores[16];
    dd_machine_get(&m);
    (void)snprintf(cores, sizeof cores, "%u", m.cores);
    gb_context("dodeca_cpu", m.cpu);
    gb_context("dodeca_cores", cores);
    tell_kernel_sets();
    if (left_out[0])
        gb_context("dodeca_left_out", left_out);
}

/* ---- All ---- */

static int verdict(gb_status status, const gb_totals *totals)
{
    switch (status) {
    case GB_OK:
        break;
    case GB_NO_MATCH: /* the library has said so */
        fputs("dodeca bench: --benchmark_list_tests prints all names\n", stderr);
        return DD_EXIT_USAGE;
    case GB_NO_FILE:
        fprintf(stderr, "dodeca bench: what --benchmark_out names cannot be written: %s\n",
                strerror(errno));
        return DD_EXIT_USAGE;
    case GB_FILE_FAILED:
        fprintf(stderr,
                "dodeca bench: not all could be written to what --benchmark_out names%s%s\n",
                errno ? ": " : "", errno ? strerror(errno) : "");
        return DD_EXIT_ENVIRONMENT;
    default:
        fprintf(stderr, "dodeca bench: Google Benchmark gave up: %s\n", gb_failure());
        return DD_EXIT_ENVIRONMENT;
    }
    if (differs) {
        fputs("dodeca bench: FAIL: a result is not what it has to be, see above\n", stderr);
        return DD_EXIT_FAILED;
    }
    if (lacks || totals->skipped) {
        fprintf(stderr, "dodeca bench: SKIP: %zu runs could not be made, see above\n",
                totals->skipped);
        return DD_EXIT_ENVIRONMENT;
    }
    return DD_EXIT_HELD;
}

int dd_suite_run(void)
{
    int code = DD_EXIT_ENVIRONMENT;
    dd_suite_barriers_();
    dd_suite_reduce_();
    dd_suite_steps_();
    dd_suite_decode_();
    if (dd_suite_kernels_()) {
        gb_totals totals;
        tell_build();
        tell_machine();
        const gb_status status = gb_run(&totals);
        code = verdict(status, &totals);
    } else {
        fputs("dodeca bench: out of memory\n", stderr);
    }
    dd_suite_kernels_close_();
    dd_suite_decode_close_();
    gb_shutdown();
    return code;
}
