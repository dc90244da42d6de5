/* SPDX-License-Identifier: MIT
 * Reads /proc and /sys, line by line. */
#include "doctor_conditions.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cgroup.h"
#include "cpu.h"

enum { PATH_BYTES = 512, LINE_BYTES = 512 };

/* ---- Files ---- */

static FILE *open_under(const char *root, const char *path)
{
    char whole[PATH_BYTES];
    const int n = snprintf(whole, sizeof whole, "%s%s", root, path);
    return n > 0 && n < PATH_BYTES ? fopen(whole, "re") : NULL;
}

/* The first line, without its end. returns  false: no such file, or it is empty */
static bool read_line(const char *root, const char *path, char *line, int size)
{
    FILE *f = open_under(root, path);
    const bool read = f && fgets(line, size, f);
    if (f)
        (void)fclose(f);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    else
        line[0] = '\0';
    return read && line[0];
}

/* A whole number on the first line. */
static uint64_t read_number(const char *root, const char *path)
{
    char line[64], *end;
    if (!read_line(root, path, line, sizeof line))
        return DD_NOT_TOLD;
    const uint64_t n = strtoull(line, &end, 10);
    return end == line || *end != '\0' || line[0] == '-' ? DD_NOT_TOLD : n;
}

static double mhz_of(uint64_t khz)
{
    return khz == DD_NOT_TOLD ? (double)NAN : (double)khz * 1e-3;
}

/* ---- Conditions ---- */

static dd_told told(uint64_t number, bool on_is_zero)
{
    return number == DD_NOT_TOLD         ? DD_TOLD_NOT
           : (number == 0) == on_is_zero ? DD_TOLD_ON
                                         : DD_TOLD_OFF;
}

/* The fastest "cpu MHz" of /proc/cpuinfo. */
static double fastest_mhz(const char *root)
{
    char line[LINE_BYTES];
    double most = (double)NAN;
    FILE *f = open_under(root, "/proc/cpuinfo");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        const double mhz = colon && strncmp(line, "cpu MHz", 7) == 0 ? atof(colon + 1) : 0;
        if (mhz > 0 && !(mhz <= most))
            most = mhz;
    }
    if (f)
        (void)fclose(f);
    return most;
}

/* "always [madvise] never": the word in brackets. */
static void chosen(char *line, char *word, size_t size)
{
    const char *open = strchr(line, '[');
    char *close = open ? strchr(open, ']') : NULL;
    if (!close)
        return;
    *close = '\0';
    (void)snprintf(word, size, "%s", open + 1);
}

#define FREQUENCY "/sys/devices/system/cpu/cpu0/cpufreq/"

void dd_conditions_look(const char *root, dd_conditions *out)
{
    char line[LINE_BYTES], *end;
    *out = (dd_conditions){.load = (double)NAN, .quota = dd_cpu_quota(root)};
    if (read_line(root, "/proc/loadavg", line, sizeof line)) {
        out->load = strtod(line, &end);
        if (end == line)
            out->load = (double)NAN;
    }
    out->mhz_now = fastest_mhz(root);
    out->mhz_least = mhz_of(read_number(root, FREQUENCY "cpuinfo_min_freq"));
    out->mhz_most = mhz_of(read_number(root, FREQUENCY "cpuinfo_max_freq"));
    (void)read_line(root, FREQUENCY "scaling_driver", out->driver, sizeof out->driver);
    (void)read_line(root, FREQUENCY "scaling_governor", out->governor, sizeof out->governor);
    out->turbo = told(read_number(root, "/sys/devices/system/cpu/intel_pstate/no_turbo"), true);
    if (out->turbo == DD_TOLD_NOT)
        out->turbo = told(read_number(root, "/sys/devices/system/cpu/cpufreq/boost"), false);
    out->smt = told(read_number(root, "/sys/devices/system/cpu/smt/active"), false);
    (void)read_line(root, "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
                    out->siblings, sizeof out->siblings);
    (void)read_line(root, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                    out->clock_source, sizeof out->clock_source);
    if (read_line(root, "/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line))
        chosen(line, out->huge_pages, sizeof out->huge_pages);
}

/* ---- Counters ---- */

/* The first line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks. Guests'
 * time, which follows, is part of user's. */
static void read_ticks(const char *root, dd_counters *out)
{
    char line[LINE_BYTES];
    uint64_t t[8];
    if (!read_line(root, "/proc/stat", line, sizeof line) ||
        sscanf(line,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64,
               &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) != 8)
        return;
    out->ticks = 0;
    for (int i = 0; i < 8; i++)
        out->ticks += t[i];
    out->idle = t[3] + t[4];
    out->steal = t[7];
}

/* The greatest nr_throttled of the control groups on the way up. */
static void most_throttled(void *user, const char *directory, bool v2)
{
    uint64_t *most = user, n;
    char line[LINE_BYTES];
    (void)v2; /* both have it */
    FILE *f = open_under(directory, "/cpu.stat");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "nr_throttled %" SCNu64, &n) == 1 && (*most == DD_NOT_TOLD || n > *most))
            *most = n;
    if (f)
        (void)fclose(f);
}

static uint64_t count_hot(const char *root)
{
    static const char *const kinds[] = {"core", "package"};
    static const char folder[] = "/sys/devices/system/cpu";
    uint64_t sum = DD_NOT_TOLD;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s%s", root, folder);
    DIR *all = opendir(path);
    for (const struct dirent *e; all && (e = readdir(all));) {
        unsigned cpu;
        if (sscanf(e->d_name, "cpu%u", &cpu) != 1)
            continue;
        for (int k = 0; k < 2; k++) { /* what is offline has none */
            (void)snprintf(path, sizeof path, "%s/cpu%u/thermal_throttle/%s_throttle_count", folder,
                           cpu, kinds[k]);
            const uint64_t n = read_number(root, path);
            if (n != DD_NOT_TOLD)
                sum = (sum == DD_NOT_TOLD ? 0 : sum) + n;
        }
    }
    if (all)
        closedir(all);
    return sum;
}

void dd_counters_look(const char *root, dd_counters *out)
{
    struct timespec t;
    *out = (dd_counters){DD_NOT_TOLD, DD_NOT_TOLD, DD_NOT_TOLD, DD_NOT_TOLD, DD_NOT_TOLD, 0};
    read_ticks(root, out);
    dd_cgroup_walk(root, "cpu", most_throttled, &out->throttled);
    out->hot = count_hot(root);
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0)
        out->own_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t grown(uint64_t before, uint64_t after)
{
    return before == DD_NOT_TOLD || after == DD_NOT_TOLD || after < before ? DD_NOT_TOLD
                                                                           : after - before;
}

dd_meanwhile dd_counters_between(const dd_counters *before, const dd_counters *after,
                                 double ticks_per_s)
{
    dd_meanwhile m = {.steal = (double)NAN,
                      .others = (double)NAN,
                      .throttled = grown(before->throttled, after->throttled),
                      .hot = grown(before->hot, after->hot)};
    const uint64_t ticks = grown(before->ticks, after->ticks);
    const uint64_t idle = grown(before->idle, after->idle);
    const uint64_t steal = grown(before->steal, after->steal);
    if (ticks == DD_NOT_TOLD || ticks == 0 || idle == DD_NOT_TOLD || steal == DD_NOT_TOLD)
        return m;
    const double own = (double)(after->own_ns - before->own_ns) * 1e-9 * ticks_per_s;
    const double others = (double)ticks - (double)idle - (double)steal - own;
    m.steal = (double)steal / (double)ticks;
    m.others = others > 0 ? others / (double)ticks : 0;
    return m;
}

/* ---- Text ---- */

static const char *const not_told = "not told here";

static const char *or_not(const char *text)
{
    return text[0] ? text : not_told;
}

static void print_share(const char *name, double share, FILE *out)
{
    if (isnan(share))
        fprintf(out, "%s %s", name, not_told);
    else
        fprintf(out, "%s %.1f %%", name, 100 * share);
}

static void print_count(const char *name, uint64_t n, FILE *out)
{
    if (n == DD_NOT_TOLD)
        fprintf(out, "%s %s", name, not_told);
    else
        fprintf(out, "%s %" PRIu64 " x", name, n);
}

static void print_clock(const dd_conditions *c, FILE *out)
{
    fprintf(out, "  clock            ");
    if (isnan(c->mhz_now))
        fprintf(out, "%s", not_told);
    else
        fprintf(out, "%.0f MHz as the kernel tells", c->mhz_now);
    if (!isnan(c->mhz_least) && !isnan(c->mhz_most))
        fprintf(out, ", from %.0f to %.0f", c->mhz_least, c->mhz_most);
    fprintf(out, "\n  scaling          driver %s, governor %s; turbo %s\n", or_not(c->driver),
            or_not(c->governor),
            c->turbo == DD_TOLD_NOT  ? not_told
            : c->turbo == DD_TOLD_ON ? "on"
                                     : "off");
}

/* The siblings are CPU 0 itself, and others in a list of numbers or ranges. */
static void print_threads(const dd_conditions *c, FILE *out)
{
    fprintf(out, "  hardware threads %s; ",
            c->smt == DD_TOLD_NOT  ? not_told
            : c->smt == DD_TOLD_ON ? "several a core (SMT)"
                                   : "one a core");
    if (strpbrk(c->siblings, ",-"))
        fprintf(out, "CPUs %s share a core\n", c->siblings);
    else if (c->siblings[0])
        fputs("CPU 0 has its core alone\n", out);
    else
        fprintf(out, "who shares CPU 0's core is %s\n", not_told);
}

void dd_conditions_print(const dd_conditions *c, const dd_meanwhile *meanwhile, FILE *out)
{
    fprintf(out, "\nconditions\n  load average     ");
    if (isnan(c->load))
        fprintf(out, "%s\n", not_told);
    else
        fprintf(out, "%.2f\n", c->load);
    print_clock(c, out);
    print_threads(c, out);
    fprintf(out, "  huge pages       %s\n", or_not(c->huge_pages));
    fprintf(out, "  time source      %s\n", or_not(c->clock_source));
    if (c->quota == UINT32_MAX)
        fprintf(out, "  CPU quota        none that can be read\n");
    else
        fprintf(out, "  CPU quota        %u CPU%s\n", c->quota, c->quota == 1 ? "" : "s");
    if (!meanwhile)
        return;
    print_share("  while measuring  stolen", meanwhile->steal, out);
    print_share(", used by others", meanwhile->others, out);
    print_count(",\n                   stopped by quota", meanwhile->throttled, out);
    print_count(", slowed by heat", meanwhile->hot, out);
    fputc('\n', out);
}

/* ---- JSON ---- */

json_t *dd_json_told(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *told_or_null(dd_told t)
{
    return t == DD_TOLD_NOT ? json_null() : json_boolean(t == DD_TOLD_ON);
}

static json_t *count_or_null(uint64_t n)
{
    return n > INT64_MAX ? json_null() : json_integer((json_int_t)n);
}

json_t *dd_conditions_json(const dd_conditions *c, const dd_meanwhile *meanwhile)
{
    json_t *during =
        meanwhile ? json_pack("{s:o, s:o, s:o, s:o}", "stolen", dd_json_told(meanwhile->steal),
                              "used_by_others", dd_json_told(meanwhile->others), "stopped_by_quota",
                              count_or_null(meanwhile->throttled), "slowed_by_heat",
                              count_or_null(meanwhile->hot))
                  : json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "load",
                     dd_json_told(c->load), "mhz", dd_json_told(c->mhz_now), "mhz_least",
                     dd_json_told(c->mhz_least), "mhz_most", dd_json_told(c->mhz_most),
                     "scaling_driver", text_or_null(c->driver), "governor",
                     text_or_null(c->governor), "turbo", told_or_null(c->turbo), "smt",
                     told_or_null(c->smt), "siblings", text_or_null(c->siblings), "huge_pages",
                     text_or_null(c->huge_pages), "time_source", text_or_null(c->clock_source),
                     "quota_cpus", c->quota == UINT32_MAX ? json_null() : json_integer(c->quota),
                     "while_measuring", during);
}
