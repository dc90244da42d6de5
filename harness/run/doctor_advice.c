/* SPDX-License-Identifier: MIT
 * Limits of what is good enough, and a sentence for each. A value that is not told (NaN) is no
 * reason for advice: every comparison is written so that NaN says nothing. */
#include "doctor_advice.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOAD_A_CPU 0.3
#define OTHERS 0.05 /* of all CPUs' time while measuring */
#define STOLEN 0.01
#define SPREAD 0.05  /* of a fixed loop */
#define TOGETHER 0.9 /* of what as many lone cores would reach */
#define MEMORY 0.5
#define CLOCK_NS 1000.0

__attribute__((format(printf, 2, 3))) static void advise(dd_advice *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (a->n < sizeof a->line / sizeof a->line[0])
        (void)vsnprintf(a->line[a->n++], sizeof a->line[0], format, args);
    va_end(args);
}

static void weigh_build(const dd_facts *f, dd_advice *a)
{
    if (f->sanitizer[0])
        advise(a, "this is a -fsanitize=%s build: good for checks, its times mean nothing",
               f->sanitizer);
    if (strcmp(f->build_type, "Release") != 0)
        advise(a, "the build type is %s: configure with -DCMAKE_BUILD_TYPE=Release to measure",
               f->build_type);
}

static void weigh_machine(const dd_facts *f, dd_advice *a)
{
    const dd_found *m = &f->found;
    const uint32_t affinity = m->topology.n_cpus, cores = m->topology.n_cpus_cores;
    if (m->cpus < affinity)
        advise(a,
               "a control group's quota allows %u of %u CPUs, more threads are stopped in bursts: "
               "raise cpu.max (docker --cpus, CPUQuota=), or take --workers %u",
               m->cpus, affinity, m->cpus);
    if (cores && m->cpus > cores)
        advise(a,
               "%u CPUs are %u core%s with hardware threads: beyond --workers %u little is gained",
               m->cpus, cores, cores == 1 ? "" : "s", cores);
    if (m->cpus < 2)
        advise(a,
               "one CPU: every run of more than one worker is oversubscribed and shows no speedup");
}

static void weigh_conditions(const dd_facts *f, dd_advice *a)
{
    const dd_conditions *c = &f->conditions;
    if (c->load > LOAD_A_CPU * f->found.cpus)
        advise(a,
               "the load average is %.1f on %u CPU%s, other programs take part of them: stop them "
               "(top shows which), or measure when they are done",
               c->load, f->found.cpus, f->found.cpus == 1 ? "" : "s");
    if (c->governor[0] && strcmp(c->governor, "performance") != 0)
        advise(a,
               "the CPU's governor is %s, clocks rise late: `sudo cpupower frequency-set -g "
               "performance` before measuring",
               c->governor);
    if (c->turbo == DD_TOLD_ON)
        advise(a, "turbo is on, the clock depends on how many cores work and on heat: for numbers "
                  "that repeat write 1 to /sys/devices/system/cpu/intel_pstate/no_turbo, or 0 to "
                  "/sys/devices/system/cpu/cpufreq/boost");
    if (strcmp(c->huge_pages, "never") == 0)
        advise(a, "transparent huge pages are off, weights lie on small pages: write madvise to "
                  "/sys/kernel/mm/transparent_hugepage/enabled");
}

static void weigh_meanwhile(const dd_facts *f, dd_advice *a)
{
    const dd_meanwhile *m = &f->meanwhile;
    if (m->steal > STOLEN)
        advise(a,
               "the hypervisor took %.1f %% of the CPUs (steal) while this was measured: take a "
               "machine with cores of its own, or another hour; believe only interleaved repeats",
               100 * m->steal);
    if (m->others > OTHERS)
        advise(a,
               "other programs used %.0f %% of the CPUs while this was measured: the numbers above "
               "are too low; stop them (top shows which) and run doctor again",
               100 * m->others);
    if (m->throttled != DD_NOT_TOLD && m->throttled > 0)
        advise(a,
               "the control group's quota stopped its threads %llu times while this was measured: "
               "raise cpu.max (docker --cpus, CPUQuota=)",
               (unsigned long long)m->throttled);
    if (m->hot != DD_NOT_TOLD && m->hot > 0)
        advise(a,
               "CPUs slowed down because of heat %llu times while this was measured: cool them, or "
               "cap the clock (`sudo cpupower frequency-set -u`)",
               (unsigned long long)m->hot);
}

static void weigh_measured(const dd_facts *f, dd_advice *a)
{
    const dd_reached *one = &f->alone, *all = &f->together;
    if (f->noise.resolution_ns > CLOCK_NS)
        advise(a,
               "the clock moves in steps of %.0f ns (source %s): short steps cannot be timed; take "
               "one of /sys/devices/system/clocksource/clocksource0/available_clocksource, tsc if "
               "it is there",
               f->noise.resolution_ns,
               f->conditions.clock_source[0] ? f->conditions.clock_source : "not told");
    if (f->noise.spread > SPREAD)
        advise(a,
               "a fixed loop varies by %.0f %%: compare medians of several repeats only (repeats: "
               "in a scenario)",
               100 * f->noise.spread);
    if (one->threads == 0 || all->threads < 2)
        return;
    const double n = all->threads;
    if (all->mhz < TOGETHER * one->mhz)
        advise(a,
               "the clock falls from %.0f to %.0f MHz when all CPUs work, or they wait for each "
               "other: speedups against one worker look smaller; a capped clock does not fall",
               one->mhz, all->mhz);
    if (all->gflops < TOGETHER * n * one->gflops)
        advise(a,
               "%.0f CPUs multiply %.2f x as fast as one: they share cores or a falling clock, or "
               "other programs had some; no speedup will be greater",
               n, all->gflops / one->gflops);
    if (all->copy_bytes_per_s < MEMORY * n * one->copy_bytes_per_s)
        advise(a,
               "%.0f CPUs copy memory only %.2f x as fast as one: folds and updates will not "
               "scale; --reduce owner moves the fewest bytes",
               n, all->copy_bytes_per_s / one->copy_bytes_per_s);
}

void dd_advice_weigh(const dd_facts *f, dd_advice *out)
{
    out->n = 0;
    weigh_build(f, out);
    weigh_machine(f, out);
    weigh_conditions(f, out);
    if (f->measured) {
        weigh_meanwhile(f, out);
        weigh_measured(f, out);
    }
    if (f->unwind_denied[0])
        advise(out,
               "a hung cell's stacks cannot be shown (%s): allow ptrace of one's own children "
               "(docker --cap-add=SYS_PTRACE)",
               f->unwind_denied);
    if (!f->has_king_james)
        advise(out, "without the King James text scenarios/quick.yaml trains on built-in data: run "
                    "scripts/setup.sh");
}
