/* SPDX-License-Identifier: MIT
 * `dodeca doctor`: what this machine and this build can do, and what would spoil a measurement.
 * Changes nothing; gives advice, and exits 0 unless it cannot look. */
#include <cyaml/cyaml.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <hwloc.h>
#include <jansson.h>
#include <stdarg.h>
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
#include "doctor_machine.h"
#include "doctor_measure.h"
#include "options.h"
#include "peak.h"

enum { OPTION_QUICK = DD_OPTION_OWN, OPTION_JSON, ADVICE_MAX = 16 };

struct doctor {
    bool quick, json;
    dd_found found;
    /* build */
    char libraries[256], sets[160];
    /* abilities */
    char unwind[128]; /* "" : a child can be unwound */
    char king_james[DD_MESSAGE_MAX];
    bool has_king_james;
    /* measured */
    bool measured;
    const char *set;
    dd_products products;
    double copy, scalar_peak_gflops;
    dd_noise noise;
    /* verdict */
    size_t n_advice;
    char advice[ADVICE_MAX][256];
};

__attribute__((format(printf, 2, 3))) static void advise(struct doctor *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (d->n_advice < ADVICE_MAX)
        (void)vsnprintf(d->advice[d->n_advice++], sizeof d->advice[0], format, args);
    va_end(args);
}

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
    static const struct {
        dd_simd simd;
        const char *name;
    } sets[] = {{DD_SIMD_OFF, "off"},
                {DD_SIMD_AVX2, "avx2"},
                {DD_SIMD_AVX512, "avx512"},
                {DD_SIMD_NEON, "neon"},
                {DD_SIMD_AUTO, "auto"}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const char *why = "";
        const dd_kernels *set = dd_kernels_select(sets[i].simd, &why);
        used += (size_t)snprintf(d->sets + used, sizeof d->sets - used, "%s%s: %s",
                                 used ? ", " : "", sets[i].name, set ? set->name : "none");
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
    d->has_king_james = dd_settings_open_data(&s, &data, used, note, &error) == DD_OK;
    (void)snprintf(d->king_james, sizeof d->king_james, "%s",
                   d->has_king_james ? used + strlen("bytes:") : error.message);
    dd_data_close(data);
}

static bool measure(struct doctor *d)
{
    const dd_kernels *set = dd_kernels_select(DD_SIMD_AUTO, NULL);
    const dd_kernels *scalar = dd_kernels_select(DD_SIMD_OFF, NULL);
    d->set = set->name;
    d->noise = dd_measure_noise();
    d->copy = dd_measure_copy();
    d->scalar_peak_gflops = dd_peak_flops(scalar) * 1e-9;
    d->measured = dd_measure_products(set, &d->products);
    return d->measured;
}

/* ---- Advice ---- */

static void weigh_machine(struct doctor *d)
{
    const dd_found *f = &d->found;
    const uint32_t affinity = f->topology.n_cpus, cores = f->topology.n_cpus_cores;
    if (f->load > 0.3 * f->cpus)
        advise(d,
               "the load average is %.1f on %u CPUs: other programs take part of them; measure "
               "when they are done",
               f->load, f->cpus);
    if (f->cpus < affinity)
        advise(d,
               "a control group's quota allows %u of %u CPUs: more threads are throttled in bursts",
               f->cpus, affinity);
    if (cores && f->cpus > cores)
        advise(d, "%u CPUs are %u cores with hardware threads: beyond %u workers little is gained",
               f->cpus, cores, cores);
    if (f->cpus < 2)
        advise(d,
               "one CPU: every run of more than one worker is oversubscribed and shows no speedup");
    if (f->governor[0] && strcmp(f->governor, "performance") != 0)
        advise(
            d,
            "the CPU's governor is %s: clocks rise late; with \"performance\" they repeat better",
            f->governor);
}

static void weigh(struct doctor *d)
{
    if (dd_build.sanitizer[0])
        advise(d, "this is a -fsanitize=%s build: good for checks, its times mean nothing",
               dd_build.sanitizer);
    if (strcmp(dd_build.type, "Release") != 0)
        advise(d, "the build type is %s: configure with -DCMAKE_BUILD_TYPE=Release to measure",
               dd_build.type);
    weigh_machine(d);
    if (d->measured && d->noise.spread > 0.05)
        advise(d, "a fixed loop varies by %.0f %%: compare medians of several repeats only",
               100 * d->noise.spread);
    if (d->unwind[0])
        advise(d, "a hung cell's stacks cannot be shown (%s): allow ptrace of one's own children",
               d->unwind);
    if (!d->has_king_james)
        advise(d, "without the King James text scenarios/quick.yaml trains on built-in data: run "
                  "scripts/setup.sh");
}

/* ---- Output ---- */

static void print_measured(const struct doctor *d)
{
    const dd_products *p = &d->products;
    printf("\nmeasured, one thread\n");
    printf("  clock            steps of %.0f ns\n", d->noise.resolution_ns);
    printf("  noise            a fixed loop of %.2f ms varies by %.1f %% (10th to 90th "
           "percentile), worst %.2f x\n",
           d->noise.loop_ns * 1e-6, 100 * d->noise.spread, d->noise.worst);
    printf("  memory           copies %.1f GB/s, read and written\n", d->copy * 1e-9);
    printf("  FMA peak         %s %.1f GFLOP/s a core, scalar %.1f\n", d->set, p->peak_gflops,
           d->scalar_peak_gflops);
    printf("\nmatrix products of a micro step, 128 rows, as shares of that peak\n");
    printf("  %-9s %-16s %5s %5s %5s  %8s  %6s\n", "layer", "pass", "M", "N", "K", "GFLOP/s",
           "share");
    for (int i = 0; i < DD_PRODUCTS; i++) {
        const dd_product *x = &p->product[i];
        printf("  %-9s %-16s %5u %5u %5u  %8.1f  %5.1f%%\n", x->layer, x->pass, x->M, x->N, x->K,
               x->gflops, 100 * x->share);
    }
    printf(
        "  all: forward %.1f%%, input gradient %.1f%%, weight gradient %.1f%%, together %.1f%%\n",
        100 * p->share_of_pass[0], 100 * p->share_of_pass[1], 100 * p->share_of_pass[2],
        100 * p->share);
}

static void print_text(const struct doctor *d)
{
    dd_found_print(&d->found);
    printf("\nbuild\n");
    printf("  dodeca           %s, commit %s\n", dd_build.version, dd_build.commit);
    printf("  compiler         %s, %s%s%s\n", dd_build.compiler, dd_build.flags,
           dd_build.sanitizer[0] ? ", -fsanitize=" : "", dd_build.sanitizer);
    printf("  libraries        %s\n", d->libraries);
    printf("  kernel sets      %s\n", d->sets);
    printf("\nabilities\n");
    printf("  stacks of a hung cell   %s\n", d->unwind[0] ? d->unwind : "yes");
    printf("  King James text         %s\n", d->king_james);
    if (d->measured)
        print_measured(d);
    printf("\nadvice\n");
    for (size_t i = 0; i < d->n_advice; i++)
        printf("  - %s\n", d->advice[i]);
    if (d->n_advice == 0)
        printf("  nothing in the way of a good measurement was found\n");
}

static json_t *json_measured(const struct doctor *d)
{
    json_t *products = json_array();
    for (int i = 0; i < DD_PRODUCTS; i++) {
        const dd_product *x = &d->products.product[i];
        (void)json_array_append_new(products, json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f}",
                                                        "layer", x->layer, "pass", x->pass, "M",
                                                        (int)x->M, "N", (int)x->N, "K", (int)x->K,
                                                        "gflops", x->gflops, "share", x->share));
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
                     "clock_ns", d->noise.resolution_ns, "loop_ns", d->noise.loop_ns, "loop_spread",
                     d->noise.spread, "loop_worst", d->noise.worst, "copy_bytes_per_s", d->copy,
                     "kernels", d->set, "peak_gflops", d->products.peak_gflops,
                     "scalar_peak_gflops", d->scalar_peak_gflops, "share", d->products.share,
                     "share_forward", d->products.share_of_pass[0], "share_input_gradient",
                     d->products.share_of_pass[1], "share_weight_gradient",
                     d->products.share_of_pass[2], "products", products);
}

static int print_json(const struct doctor *d)
{
    json_t *advice = json_array();
    for (size_t i = 0; i < d->n_advice; i++)
        (void)json_array_append_new(advice, json_string(d->advice[i]));
    json_t *build =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", dd_build.version, "commit",
                  dd_build.commit, "compiler", dd_build.compiler, "flags", dd_build.flags, "type",
                  dd_build.type, "sanitizer", dd_build.sanitizer, "libraries", d->libraries,
                  "kernel_sets", d->sets);
    json_t *root =
        json_pack("{s:o, s:o, s:b, s:s, s:b, s:s, s:o, s:o}", "machine", dd_found_json(&d->found),
                  "build", build, "can_unwind", (int)!d->unwind[0], "unwind_denied", d->unwind,
                  "has_king_james", (int)d->has_king_james, "king_james", d->king_james, "measured",
                  d->measured ? json_measured(d) : json_null(), "advice", advice);
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
        .doc = "Say what this machine and this build can do, and what would spoil a measurement. "
               "Takes some seconds on "
               "one core, and measures best when nothing else runs.",
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &d) != 0)
        return DD_EXIT_USAGE;
    dd_found_look(&d.found);
    look_at_build(&d);
    look_at_unwinding(&d);
    look_at_text(&d);
    int code = DD_EXIT_HELD;
    if (!d.quick && !measure(&d)) {
        fputs("dodeca doctor: out of memory while measuring\n", stderr);
        code = DD_EXIT_ENVIRONMENT;
    } else {
        weigh(&d);
        if (d.json)
            code = print_json(&d);
        else
            print_text(&d);
    }
    dd_found_close(&d.found);
    return code;
}
