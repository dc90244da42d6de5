/* SPDX-License-Identifier: MIT
 * `dodeca doctor`: what this machine and this build can do, and what would spoil a measurement.
 * Changes nothing; gives advice, and exits 0 unless it cannot look. */
#include <cyaml/cyaml.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <hwloc.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>
#include <yaml.h>

#include "build_info.h"
#include "commands.h"
#include "doctor_advice.h"
#include "options.h"
#include "peak.h"

enum { OPTION_QUICK = DD_OPTION_OWN, OPTION_JSON };

struct doctor {
    bool quick, json;
    dd_facts facts;
    /* build */
    char libraries[256], sets[160];
    /* abilities */
    char unwind[128]; /* "": a child can be unwound */
    char king_james[DD_MESSAGE_MAX];
    /* measured */
    const char *set;
    dd_products products;
    double scalar_peak_gflops;
    char team_why[128]; /* why threads together were not measured; "" */
    dd_advice advice;
};

/* ---- Build and abilities ---- */

static void look_at_build(struct doctor *d)
{
    unsigned hwloc = hwloc_get_api_version(), xxhash = XXH_versionNumber();
    (void)snprintf(
        d->libraries, sizeof d->libraries,
        "libcyaml %s, libyaml %s, jansson %s, xxhash %u.%u.%u, hwloc API %u.%u.%u, elfutils %s",
        cyaml_version_str, yaml_get_version_string(), jansson_version_str(), xxhash / 10000,
        xxhash / 100 % 100, xxhash % 100, hwloc >> 16, hwloc >> 8 & 0xff, hwloc & 0xff,
        dwfl_version(NULL));
    static const dd_simd sets[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON,
                                   DD_SIMD_AUTO};
    size_t used = 0;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const char *why = "";
        const dd_kernels *set = dd_kernels_select(sets[i], &why);
        used += (size_t)snprintf(d->sets + used, sizeof d->sets - used, "%s%s: %s",
                                 used ? ", " : "", dd_simd_name(sets[i]), set ? set->name : "none");
    }
}

/* Tries on a child what the watchdog does to a hung cell. */
static void look_at_unwinding(struct doctor *d)
{
    pid_t child = fork();
    if (child == 0) {
        for (;;)
            (void)pause();
    }
    if (child < 0) {
        (void)snprintf(d->unwind, sizeof d->unwind, "no child process: %s", strerror(errno));
        return;
    }
    if (ptrace(PTRACE_ATTACH, child, NULL, NULL) != 0)
        (void)snprintf(d->unwind, sizeof d->unwind, "ptrace: %s", strerror(errno));
    (void)kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        ;
}

static void look_at_text(struct doctor *d)
{
    dd_settings s;
    dd_data *data = NULL;
    dd_error error = {""};
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX];
    dd_settings_default(&s);
    strcpy(s.data, "kjv");
    d->facts.has_king_james = dd_settings_open_data(&s, &data, used, note, &error) == DD_OK;
    (void)snprintf(d->king_james, sizeof d->king_james, "%s",
                   d->facts.has_king_james ? used + strlen("bytes:") : error.message);
    dd_data_close(data);
}

/* One thread on a core of its own, then one on each CPU. */
static void measure_teams(struct doctor *d, const dd_kernels *set)
{
    dd_facts *f = &d->facts;
    const uint64_t most = f->found.limits.memory_bytes / 4;
    int e = dd_measure_team(&f->found.topology, 1, set, most, &f->alone);
    if (!e && f->found.cpus > 1)
        e = dd_measure_team(&f->found.topology, f->found.cpus, set, most, &f->together);
    if (!e)
        return;
    f->alone.threads = f->together.threads = 0;
    (void)snprintf(d->team_why, sizeof d->team_why, "%s",
                   e == ENODEV ? "hwloc cannot read this machine" : strerror(e));
}

static bool measure(struct doctor *d)
{
    const dd_kernels *set = dd_kernels_select(DD_SIMD_AUTO, NULL);
    const dd_kernels *scalar = dd_kernels_select(DD_SIMD_OFF, NULL);
    dd_counters before, after;
    dd_counters_look("", &before);
    d->set = set->name;
    d->facts.noise = dd_measure_noise();
    measure_teams(d, set);
    d->scalar_peak_gflops = dd_peak_flops(scalar) * 1e-9;
    d->facts.measured = dd_measure_products(set, &d->products);
    dd_counters_look("", &after);
    d->facts.meanwhile = dd_counters_between(&before, &after, (double)sysconf(_SC_CLK_TCK));
    return d->facts.measured;
}

/* ---- Output ---- */

static void print_reached(const struct doctor *d)
{
    const dd_reached *const team[] = {&d->facts.alone, &d->facts.together};
    if (d->team_why[0])
        printf("  threads          not measured: %s\n", d->team_why);
    for (int i = 0; i < 2; i++) {
        const dd_reached *r = team[i];
        if (r->threads == 0)
            continue;
        printf("  %4u thread%s    ", r->threads, r->threads == 1 ? " " : "s");
        if (isnan(r->mhz))
            printf("clock not told by a chain here");
        else
            printf("clock %.0f MHz by a chain of additions", r->mhz);
        printf(", %s %.1f GFLOP/s,\n                   memory reads %.1f GB/s, copies %.1f GB/s, "
               "read and written\n",
               d->set, r->gflops, r->read_bytes_per_s * 1e-9, r->copy_bytes_per_s * 1e-9);
    }
}

static void print_measured(const struct doctor *d)
{
    const dd_products *p = &d->products;
    const dd_noise *noise = &d->facts.noise;
    printf("\nmeasured\n");
    printf("  timer            steps of %.0f ns\n", noise->resolution_ns);
    printf("  noise            a fixed loop of %.2f ms varies by %.1f %% (10th to 90th "
           "percentile), worst %.2f x\n",
           noise->loop_ns * 1e-6, 100 * noise->spread, noise->worst);
    print_reached(d);
    printf("  FMA peak         %s %.1f GFLOP/s a core at best, scalar %.1f\n", d->set,
           p->peak_gflops, d->scalar_peak_gflops);
    dd_products_print(p, stdout);
}

static void print_text(const struct doctor *d)
{
    dd_found_print(&d->facts.found, stdout);
    dd_conditions_print(&d->facts.conditions, d->facts.measured ? &d->facts.meanwhile : NULL,
                        stdout);
    printf("\nbuild\n");
    printf("  dodeca           %s, commit %s\n", dd_build.version, dd_build.commit);
    printf("  compiler         %s, %s%s%s\n", dd_build.compiler, dd_build.flags,
           dd_build.sanitizer[0] ? ", -fsanitize=" : "", dd_build.sanitizer);
    printf("  libraries        %s\n", d->libraries);
    printf("  kernel sets      %s\n", d->sets);
    printf("\nabilities\n");
    printf("  stacks of a hung cell   %s\n", d->unwind[0] ? d->unwind : "yes");
    printf("  King James text         %s\n", d->king_james);
    if (d->facts.measured)
        print_measured(d);
    printf("\nadvice\n");
    for (size_t i = 0; i < d->advice.n; i++)
        printf("  - %s\n", d->advice.line[i]);
    if (d->advice.n == 0)
        printf("  nothing in the way of a good measurement was found\n");
}

static json_t *json_reached(const dd_reached *r)
{
    return r->threads ? json_pack("{s:i, s:o, s:f, s:f, s:f}", "threads", (int)r->threads, "mhz",
                                  dd_json_told(r->mhz), "gflops", r->gflops, "read_bytes_per_s",
                                  r->read_bytes_per_s, "copy_bytes_per_s", r->copy_bytes_per_s)
                      : json_null();
}

static json_t *json_measured(const struct doctor *d)
{
    json_t *products = json_array();
    for (int i = 0; i < DD_PRODUCTS; i++) {
        const dd_product *x = &d->products.product[i];
        (void)json_array_append_new(products,
                                    json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f}", "layer",
                                              x->layer, "pass", x->pass, "M", (int)x->M, "N",
                                              (int)x->N, "K", (int)x->K, "gflops", x->gflops,
                                              "peak_gflops", x->peak_gflops, "share", x->share));
    }
    const dd_noise *noise = &d->facts.noise;
    return json_pack(
        "{s:f, s:f, s:f, s:f, s:o, s:o, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "clock_ns",
        noise->resolution_ns, "loop_ns", noise->loop_ns, "loop_spread", noise->spread, "loop_worst",
        noise->worst, "alone", json_reached(&d->facts.alone), "together",
        json_reached(&d->facts.together), "kernels", d->set, "peak_gflops", d->products.peak_gflops,
        "scalar_peak_gflops", d->scalar_peak_gflops, "share", d->products.share, "share_forward",
        d->products.share_of_pass[0], "share_input_gradient", d->products.share_of_pass[1],
        "share_weight_gradient", d->products.share_of_pass[2], "products", products);
}

static int print_json(const struct doctor *d)
{
    json_t *advice = json_array();
    for (size_t i = 0; i < d->advice.n; i++)
        (void)json_array_append_new(advice, json_string(d->advice.line[i]));
    json_t *build =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", dd_build.version, "commit",
                  dd_build.commit, "compiler", dd_build.compiler, "flags", dd_build.flags, "type",
                  dd_build.type, "sanitizer", dd_build.sanitizer, "libraries", d->libraries,
                  "kernel_sets", d->sets);
    const dd_facts *f = &d->facts;
    json_t *root = json_pack(
        "{s:o, s:o, s:o, s:b, s:s, s:b, s:s, s:o, s:o}", "machine", dd_found_json(&f->found),
        "conditions", dd_conditions_json(&f->conditions, f->measured ? &f->meanwhile : NULL),
        "build", build, "can_unwind", (int)!d->unwind[0], "unwind_denied", d->unwind,
        "has_king_james", (int)f->has_king_james, "king_james", d->king_james, "measured",
        f->measured ? json_measured(d) : json_null(), "advice", advice);
    int failed = !root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0;
    putchar('\n');
    json_decref(root);
    if (failed)
        fputs("dodeca doctor: out of memory\n", stderr);
    return failed ? DD_EXIT_ENVIRONMENT : DD_EXIT_HELD;
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    struct doctor *d = state->input;
    switch (id) {
    case OPTION_QUICK:
        d->quick = true;
        return 0;
    case OPTION_JSON:
        d->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0, "\"%s\": there are only options; see --help",
                     argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_doctor(int argc, char **argv)
{
    static dd_options options;
    static struct doctor d;
    dd_options_add(&options, "quick", OPTION_QUICK, NULL, "look only, measure nothing");
    dd_options_add(&options, "json", OPTION_JSON, NULL, "the same as one JSON object");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc =
            "Say what this machine and this build can do, and what would spoil a measurement. "
            "Takes some seconds on all cores, and measures best when nothing else runs.\v"
            "Examples:\n"
            "  dodeca doctor             # all of it\n"
            "  dodeca doctor --quick     # what needs no measuring\n"
            "  dodeca doctor --json      # null: what the system does not tell\n"
            "\n"
            "Changes nothing.\n"
            "\n"
            "Exit: 0 whatever it finds, for that is no failure; 2 bad usage; 3 it cannot measure.",
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &d) != 0)
        return DD_EXIT_USAGE;
    dd_found_look(&d.facts.found);
    dd_conditions_look("", &d.facts.conditions);
    look_at_build(&d);
    look_at_unwinding(&d);
    look_at_text(&d);
    int code = DD_EXIT_HELD;
    if (!d.quick && !measure(&d)) {
        fputs("dodeca doctor: out of memory while measuring\n", stderr);
        code = DD_EXIT_ENVIRONMENT;
    } else {
        d.facts.build_type = dd_build.type;
        d.facts.sanitizer = dd_build.sanitizer;
        d.facts.unwind_denied = d.unwind;
        dd_advice_weigh(&d.facts, &d.advice);
        if (d.json)
            code = print_json(&d);
        else
            print_text(&d);
    }
    dd_found_close(&d.facts.found);
    return code;
}
