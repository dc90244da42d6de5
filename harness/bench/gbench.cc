/* SPDX-License-Identifier: MIT
 * gbench.h by the library's C++ interface: one call there for one call here, and a wall that no
 * exception passes. Refuses to know what is measured. */
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

/* What a gb_function is handed: the library's state, and how far its loop is. */
struct gb_state {
    benchmark::State &of;
    bool timing;   /* in the loop, and not paused */
    bool finished; /* gb_next has returned false, or would */
    bool skipped;
};

namespace
{

/* The class has moved between namespaces from version to version. */
using pointer =
    decltype(benchmark::RegisterBenchmark("", std::declval<void (*)(benchmark::State &)>()));

char failure[256];
std::string out_file, out_format;
std::string temporary; /* what out_file is called until it is whole; empty: written as it is */
size_t n_skipped;

void fail(const char *what)
{
    if (!failure[0])
        (void)std::snprintf(failure, sizeof failure, "%s", what[0] ? what : "unknown exception");
}

/* Every call of the library's that may throw goes through here. returns  whether it did not */
template <class Call> bool guarded(Call call) noexcept
{
    try {
        call();
        return true;
    } catch (const std::exception &e) {
        fail(e.what());
    } catch (...) {
        fail("");
    }
    return false;
}

pointer unwrap(gb_benchmark *b)
{
    return reinterpret_cast<pointer>(b);
}

/* For the setters below: nothing for NULL. */
template <class Call> void set(gb_benchmark *b, Call call)
{
    if (b)
        guarded([&] { call(unwrap(b)); });
}

/* ---- Initialisation ---- */

struct usage_asked_for {
};

/* The library calls this where it would then exit(0), for --help and for bad values alike. */
void instead_of_exit()
{
    throw usage_asked_for();
}

/* The last value of a flag, as the library would read it. */
std::string value_of(const char *flag, const char *variable, int argc, char **argv)
{
    const char *value = std::getenv(variable);
    for (int i = 1; i < argc; i++)
        if (std::strncmp(argv[i], flag, std::strlen(flag)) == 0)
            value = argv[i] + std::strlen(flag);
    return value ? value : "";
}

bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (std::strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

/* Whether the flag has a number that the library would measure nothing with, or worse: it asks of
 * none of them whether there can be so much. What is no number it refuses by itself. */
bool is_below(double least, bool least_too, const char *flag, const char *variable, int argc,
              char **argv)
{
    const std::string value = value_of(flag, variable, argc, argv);
    char *end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end)
        return false;
    return !(number > least || (least_too && number == least));
}

bool has_bad_number(int argc, char **argv)
{
    return is_below(1, true, "--benchmark_repetitions=", "BENCHMARK_REPETITIONS", argc, argv) ||
           is_below(0, false, "--benchmark_min_time=", "BENCHMARK_MIN_TIME", argc, argv) ||
           is_below(0, true, "--benchmark_min_warmup_time=", "BENCHMARK_MIN_WARMUP_TIME", argc,
                    argv);
}

/* ---- Reporting ---- */

bool file_failed; /* not all of the report could be written to --benchmark_out */
int file_errno;   /* why; 0: that is not known */

/* A reporter of the library's that looks whether its last words reached the file: the library does
 * not. */
template <class Reporter> struct checked : Reporter {
    using Reporter::Reporter;
    void Finalize() override
    {
        Reporter::Finalize();
        errno = 0;
        file_failed = !this->GetOutputStream().flush();
        file_errno = errno;
    }
};

/* For --benchmark_out; what the library would take itself. */
std::unique_ptr<benchmark::BenchmarkReporter> file_reporter(const std::string &format)
{
    using benchmark::ConsoleReporter;
    if (format == "console")
        return std::make_unique<checked<ConsoleReporter>>(ConsoleReporter::OO_None);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    if (format == "csv")
        return std::make_unique<checked<benchmark::CSVReporter>>();
#pragma GCC diagnostic pop
    return std::make_unique<checked<benchmark::JSONReporter>>();
}

/* ---- Running ---- */

void skip(gb_state *state, const char *why)
{
    if (state->skipped)
        return;
    state->timing = false;
    state->finished = state->skipped = true;
    n_skipped++;
    state->of.SkipWithError(why);
}

void run(benchmark::State &of, gb_function *function, void *user)
{
    gb_state state = {of, false, false, false};
    function(&state, user);
    if (!state.finished)
        skip(&state, "the function returned before gb_next did so with false");
}

bool next(gb_state *state, int64_t n, bool batch)
{
    if (state->finished)
        return false;
    assert(state->timing || state->of.iterations() == 0); /* no gb_pause without gb_resume */
    guarded(
        [&] { state->timing = batch ? state->of.KeepRunningBatch(n) : state->of.KeepRunning(); });
    state->finished = !state->timing;
    return state->timing;
}

/* The library would end the process, and with another exit code than the caller's. */
/* ---- The file: under another name until it is whole ---- */

/* What is no regular file, a pipe or a terminal, cannot be replaced. */
bool can_replace(const std::string &path)
{
    struct stat there;
    return !path.empty() &&
           (lstat(path.c_str(), &there) == 0 ? S_ISREG(there.st_mode) : errno == ENOENT);
}

bool can_write(const std::string &path)
{
    std::FILE *file = std::fopen(path.c_str(), "ab");
    return file && std::fclose(file) == 0;
}

constexpr int stops[] = {SIGHUP, SIGINT, SIGTERM};
char unfinished[4096]; /* temporary, for the handler */

void stopped(int number)
{
    (void)unlink(unfinished);
    std::signal(number, SIG_DFL);
    (void)raise(number);
}

/* Takes the file away where the process is stopped; who catches a signal himself keeps it. */
void watch_stops(bool on)
{
    if (temporary.empty() || temporary.size() >= sizeof unfinished)
        return;
    std::memcpy(unfinished, temporary.c_str(), temporary.size() + 1);
    for (const int number : stops) {
        const auto before = std::signal(number, on ? stopped : SIG_DFL);
        if (before != (on ? SIG_DFL : stopped))
            std::signal(number, before);
    }
}

/* The end of the file: whole, it gets its name. */
bool put_in_place(bool whole)
{
    if (temporary.empty())
        return whole;
    if (whole && std::rename(temporary.c_str(), out_file.c_str()) == 0)
        return true;
    if (whole)
        file_errno = errno;
    (void)unlink(temporary.c_str());
    return false;
}

benchmark::Counter counter(double value, unsigned flags)
{
    using C = benchmark::Counter;
    static const std::pair<unsigned, C::Flags> meaning[] = {
        {GB_RATE, C::kIsRate},
        {GB_PER_ITERATION, C::kIsIterationInvariant},
        {GB_AVERAGE, C::kAvgIterations},
        {GB_INVERTED, C::kInvert},
    };
    C::Flags all = C::kDefaults;
    for (const auto &m : meaning)
        if (flags & m.first)
            all = all | m.second;
    return C(value, all, flags & GB_BINARY ? C::kIs1024 : C::kIs1000);
}

} // namespace

/* ---- The program ---- */

gb_status gb_init(int *argc, char **argv)
{
    const bool help = asks_for_help(*argc, argv);
    bool usage = false, bad_number = false;
    const bool ok = guarded([&] {
        out_file = value_of("--benchmark_out=", "BENCHMARK_OUT", *argc, argv);
        out_format = value_of("--benchmark_out_format=", "BENCHMARK_OUT_FORMAT", *argc, argv);
        bad_number = has_bad_number(*argc, argv);
        temporary = can_replace(out_file) ? out_file + ".tmp" : "";
        std::string last = "--benchmark_out=" + temporary; /* of several the library takes it */
        std::vector<char *> all(argv, argv + *argc);
        if (!temporary.empty())
            all.push_back(&last[0]);
        int left = static_cast<int>(all.size());
        all.push_back(nullptr);
        try {
            benchmark::Initialize(&left, all.data(), instead_of_exit);
        } catch (const usage_asked_for &) {
            usage = true;
        }
        if (!usage) {
            std::copy(all.begin(), all.begin() + left, argv);
            *argc = left;
        }
    });
    if (!ok)
        return GB_FAILED;
    return usage && help ? GB_HELP : usage || bad_number ? GB_BAD_VALUE : GB_OK;
}

bool gb_report_unrecognized(int argc, char **argv)
{
    bool any = false;
    guarded([&] { any = benchmark::ReportUnrecognizedArguments(argc, argv); });
    return any;
}

void gb_print_flags(void)
{
    guarded([] { benchmark::PrintDefaultHelp(); });
}

void gb_context(const char *key, const char *value)
{
    guarded([&] { benchmark::AddCustomContext(key, value); });
}

gb_status gb_run(gb_totals *totals)
{
    *totals = gb_totals{};
    n_skipped = 0;
    if (failure[0])
        return GB_FAILED;
    if (!out_file.empty() && !can_write(temporary.empty() ? out_file : temporary))
        return GB_NO_FILE;
    file_failed = false;
    watch_stops(true);
    guarded([&] {
        const auto file = out_file.empty() ? nullptr : file_reporter(out_format);
        totals->matched = benchmark::RunSpecifiedBenchmarks(nullptr, file.get());
    });
    watch_stops(false);
    totals->skipped = n_skipped;
    const bool done = totals->matched && !failure[0];
    const bool in_place = put_in_place(done && !file_failed);
    if (failure[0])
        return GB_FAILED;
    if (done && !out_file.empty() && !in_place) {
        errno = file_errno;
        return GB_FILE_FAILED;
    }
    return totals->matched ? GB_OK : GB_NO_MATCH;
}

void gb_shutdown(void)
{
    guarded([] { benchmark::Shutdown(); });
}

const char *gb_failure(void)
{
    return failure;
}

/* ---- Registering ---- */

gb_benchmark *gb_register(const char *name, gb_clock clock, gb_function *function, void *user)
{
    pointer b = nullptr;
    guarded([&] {
        b = benchmark::RegisterBenchmark(
            name, [=](benchmark::State &state) { run(state, function, user); });
        if (clock == GB_MANUAL_TIME)
            b->UseManualTime();
        else
            b->UseRealTime();
    });
    return reinterpret_cast<gb_benchmark *>(b);
}

void gb_args(gb_benchmark *b, const int64_t *values, size_t n)
{
    set(b, [&](pointer p) { p->Args(std::vector<int64_t>(values, values + n)); });
}

void gb_arg_names(gb_benchmark *b, const char *const *names, size_t n)
{
    set(b, [&](pointer p) { p->ArgNames(std::vector<std::string>(names, names + n)); });
}

void gb_set_min_time(gb_benchmark *b, double seconds)
{
    set(b, [&](pointer p) { p->MinTime(seconds); });
}

void gb_set_warm_up(gb_benchmark *b, double seconds)
{
    set(b, [&](pointer p) { p->MinWarmUpTime(seconds); });
}

void gb_set_iterations(gb_benchmark *b, int64_t n)
{
    set(b, [&](pointer p) { p->Iterations(n); });
}

void gb_set_repetitions(gb_benchmark *b, int n)
{
    set(b, [&](pointer p) { p->Repetitions(n); });
}

void gb_set_process_cpu_time(gb_benchmark *b)
{
    set(b, [](pointer p) { p->MeasureProcessCPUTime(); });
}

void gb_set_unit(gb_benchmark *b, gb_unit unit)
{
    static const benchmark::TimeUnit units[] = {benchmark::kNanosecond, benchmark::kMicrosecond,
                                                benchmark::kMillisecond, benchmark::kSecond};
    if (benchmark::GetDefaultTimeUnit() == benchmark::kNanosecond)
        set(b, [&](pointer p) { p->Unit(units[unit]); });
}

void gb_set_complexity(gb_benchmark *b, gb_order order)
{
    static const benchmark::BigO orders[] = {
        benchmark::o1,        benchmark::oLogN,   benchmark::oN,   benchmark::oNLogN,
        benchmark::oNSquared, benchmark::oNCubed, benchmark::oAuto};
    set(b, [&](pointer p) { p->Complexity(orders[order]); });
}

/* ---- In the function ---- */

bool gb_next(gb_state *state)
{
    return next(state, 1, false);
}

bool gb_next_batch(gb_state *state, int64_t n)
{
    return next(state, n, true);
}

int64_t gb_arg(const gb_state *state, size_t i)
{
    return state->of.range(i);
}

int64_t gb_iterations_wanted(const gb_state *state)
{
    return state->of.max_iterations;
}

int64_t gb_iterations(const gb_state *state)
{
    return state->of.iterations();
}

void gb_pause(gb_state *state)
{
    assert(state->timing);
    state->timing = false;
    guarded([&] { state->of.PauseTiming(); });
}

void gb_resume(gb_state *state)
{
    assert(!state->timing && !state->finished);
    state->timing = true;
    guarded([&] { state->of.ResumeTiming(); });
}

void gb_iteration_time(gb_state *state, double seconds)
{
    guarded([&] { state->of.SetIterationTime(seconds); });
}

void gb_skip(gb_state *state, const char *why)
{
    guarded([&] { skip(state, why); });
}

void gb_bytes_processed(gb_state *state, int64_t bytes)
{
    guarded([&] { state->of.SetBytesProcessed(bytes); });
}

void gb_items_processed(gb_state *state, int64_t items)
{
    guarded([&] { state->of.SetItemsProcessed(items); });
}

void gb_counter(gb_state *state, const char *name, double value, unsigned flags)
{
    guarded([&] { state->of.counters[name] = counter(value, flags); });
}

void gb_label(gb_state *state, const char *text)
{
    guarded([&] { state->of.SetLabel(text); });
}

void gb_complexity_n(gb_state *state, int64_t n)
{
    guarded([&] { state->of.SetComplexityN(n); });
}
