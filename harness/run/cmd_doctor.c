/* SPDX-License-Identifier: MIT
 * `dodeca doctor`: what this machine and this build can do, and what would spoil a measurement.
 * Changes nothing; gives advice, and exits 0 unless it cannot look. */
#include <cyaml/cyaml.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <hwloc.h>
#include <jansson.h>
#include <sched.h>
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
#include "cpu.h"
#include "doctor_measure.h"
#include "options.h"
#include "peak.h"

enum { OPTION_QUICK = DD_OPTION_OWN, OPTION_JSON, ADVICE_MAX = 16 };

struct doctor {
    bool quick, json;
    /* machine */
    char cpu[128], isa[64], caches[160], governor[32];
    uint32_t cpus, cpus_affinity,
        cores; /* may use; by affinity alone; cores among the latter, 0: unknown */
    double load, memory_gib;
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

/* ---- Machine ---- */

static bool first_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, (int)size, f);
    if (f)
        (void)fclose(f);
    line[ok ? strcspn(line, "\n") : 0] = '\0';
    return ok;
}

static void look_at_cpu(struct doctor *d)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    strcpy(d->cpu, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            colon[strcspn(colon, "\n")] = '\0';
            (void)snprintf(d->cpu, sizeof d->cpu, "%s", colon + 2);
            break;
        }
    }
    if (f)
        (void)fclose(f);
#ifdef __x86_64__
    __builtin_cpu_init();
    (void)snprintf(d->isa, sizeof d->isa, "%s%s%s", __builtin_cpu_supports("avx2") ? "avx2 " : "",
                   __builtin_cpu_supports("fma") ? "fma " : "",
                   __builtin_cpu_supports("avx512f") ? "avx512f " : "");
#endif
    if (d->isa[0])
        d->isa[strlen(d->isa) - 1] = '\0'; /* the last blank */
    else
        strcpy(d->isa, "no vector set that this version uses");
    cpu_set_t affinity;
    d->cpus = dd_cpu_available();
    d->cpus_affinity = sched_getaffinity(0, sizeof affinity, &affinity) == 0
                           ? (uint32_t)CPU_COUNT(&affinity)
                           : d->cpus;
    if (getloadavg(&d->load, 1) != 1)
        d->load = 0;
    d->memory_gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 0x1p30;
    (void)first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", d->governor,
                     sizeof d->governor);
}

static void look_at_caches(struct doctor *d)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return;
    if (hwloc_topology_load(topology) == 0) {
        static const struct {
            hwloc_obj_type_t type;
            const char *name;
        } kinds[] = {
            {HWLOC_OBJ_L1CACHE, "L1d"}, {HWLOC_OBJ_L2CACHE, "L2"}, {HWLOC_OBJ_L3CACHE, "L3"}};
        size_t used = 0;
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            int n = hwloc_get_nbobjs_by_type(topology, kinds[k].type);
            hwloc_obj_t cache = n > 0 ? hwloc_get_obj_by_type(topology, kinds[k].type, 0) : NULL;
            if (cache)
                used += (size_t)snprintf(d->caches + used, sizeof d->caches - used,
                                         "%s%d x %s %llu KiB", used ? ", " : "", n, kinds[k].name,
                                         (unsigned long long)cache->attr->cache.size / 1024);
        }
        int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
        d->cores = cores > 0 ? (uint32_t)cores : 0;
    }
    hwloc_topology_destroy(topology);
    if (!d->caches[0])
        strcpy(d->caches, "unknown");
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
    } sets[] = {{DD_SIMD_OFF, "off"}, {DD_SIMD_AVX2, "avx2"}, {DD_SIMD_AUTO, "auto"}};
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

static void weigh(struct doctor *d)
{
    if (dd_build.sanitizer[0])
        advise(d, "this is a -fsanitize=%s build: good for checks, its times mean nothing",
               dd_build.sanitizer);
    if (strcmp(dd_build.type, "Release") != 0)
        advise(d, "the build type is %s: configure with -DCMAKE_BUILD_TYPE=Release to measure",
               dd_build.type);
    if (d->load > 0.3 * d->cpus)
        advise(d,
               "the load average is %.1f on %u CPUs: other programs take part of them; measure "
               "when they are done",
               d->load, d->cpus);
    if (d->cpus < d->cpus_affinity)
        advise(d,
               "a control group's quota allows %u of %u CPUs: more threads are throttled in bursts",
               d->cpus, d->cpus_affinity);
    if (d->cores && d->cpus > d->cores)
        advise(d, "%u CPUs are %u cores with hardware threads: beyond %u workers little is gained",
               d->cpus, d->cores, d->cores);
    if (d->cpus < 2)
        advise(d,
               "one CPU: every run of more than one worker is oversubscribed and shows no speedup");
    if (d->governor[0] && strcmp(d->governor, "performance") != 0)
        advise(
            d,
            "the CPU's governor is %s: clocks rise late; with \"performance\" they repeat better",
            d->governor);
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
    printf("machine\n");
    printf("  CPU              %s\n", d->cpu);
    printf("  vector sets      %s\n", d->isa);
    printf("  CPUs             %u for this process", d->cpus);
    if (d->cores)
        printf(" (%u by affinity, %u cores)", d->cpus_affinity, d->cores);
    printf("\n  caches           %s\n", d->caches);
    printf("  memory           %.1f GiB\n", d->memory_gib);
    printf("  load average     %.2f\n", d->load);
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
    json_t *machine = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:s, s:f, s:f, s:s}", "cpu", d->cpu, "vector_sets", d->isa,
        "cpus", (int)d->cpus, "cpus_by_affinity", (int)d->cpus_affinity, "cores", (int)d->cores,
        "caches", d->caches, "memory_gib", d->memory_gib, "load", d->load, "governor", d->governor);
    json_t *build =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", dd_build.version, "commit",
                  dd_build.commit, "compiler", dd_build.compiler, "flags", dd_build.flags, "type",
                  dd_build.type, "sanitizer", dd_build.sanitizer, "libraries", d->libraries,
                  "kernel_sets", d->sets);
    json_t *root =
        json_pack("{s:o, s:o, s:b, s:s, s:b, s:s, s:o, s:o}", "machine", machine, "build", build,
                  "can_unwind", (int)!d->unwind[0], "unwind_denied", d->unwind, "has_king_james",
                  (int)d->has_king_james, "king_james", d->king_james, "measured",
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
    look_at_cpu(&d);
    look_at_caches(&d);
    look_at_build(&d);
    look_at_unwinding(&d);
    look_at_text(&d);
    if (!d.quick && !measure(&d)) {
        fputs("dodeca doctor: out of memory while measuring\n", stderr);
        return DD_EXIT_ENVIRONMENT;
    }
    weigh(&d);
    if (d.json)
        return print_json(&d);
    print_text(&d);
    return DD_EXIT_HELD;
}
