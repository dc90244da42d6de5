/* SPDX-License-Identifier: MIT
 * Verdicts on single trials. */
#include "judge.h"

#include <fnmatch.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static void set(dd_finding *found, dd_finding_kind kind,
                                                      const char *format, ...)
{
    found->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(found->how, sizeof found->how, format, args);
    va_end(args);
}

bool dd_judge_hash(const char *said, char hash[DD_HASH_TEXT])
{
    static const char label[] = "weights-hash: ";
    const char *at = strstr(said, label);
    if (!at)
        return false;
    at += strlen(label);
    snprintf(hash, DD_HASH_TEXT, "%.*s", (int)strspn(at, "0123456789abcdef"), at);
    return hash[0];
}

/* Ended by a signal, and not with an exit code of its own as high as cmocka's 255. */
static bool is_signal(int status)
{
    return status > 128 && status <= 128 + SIGRTMAX;
}

/* How a run ended that says nothing by its words. */
static void by_ending(const dd_tool_end *end, dd_finding *found)
{
    if (end->ending == DD_TOOL_LATE)
        set(found, DD_FOUND_HANG, "no end in %.0f s", end->seconds);
    else if (is_signal(end->status))
        set(found, DD_FOUND_CRASH, "signal %d", end->status - 128);
    else
        set(found, DD_FOUND_NOTHING, "%s", "");
}

/* ---- Unit tests ---- */

/* The name behind the last, or the next, line that begins with this mark of cmocka's. */
static const char *marked(const char *said, const char *mark, char name[112])
{
    const char *at = strstr(said, mark);
    if (!at)
        return NULL;
    at += strlen(mark);
    snprintf(name, 112, "%.*s", (int)strcspn(at, "\n"), at);
    return at;
}

static void judge_unit(const dd_trial *trial, const dd_tool_end *end, const char *said,
                       dd_finding *found)
{
    char name[112], first[112] = "", last[112] = "";
    const bool ended = end->ending == DD_TOOL_ENDED && !is_signal(end->status);
    if (ended && end->status == 0) {
        set(found, DD_FOUND_NOTHING, "%s", "");
        return;
    }
    bool wanted = !trial->want[0];
    for (const char *at = said; (at = marked(at, "[  FAILED  ] ", name));) {
        if (strchr(name, ' ')) /* the summary: 1 test(s), listed below: */
            continue;
        if (!first[0])
            strcpy(first, name);
        wanted |= fnmatch(trial->want, name, 0) == 0;
    }
    for (const char *at = said; !ended && (at = marked(at, "[ RUN      ] ", name));)
        strcpy(last, name);
    wanted |= last[0] && fnmatch(trial->want, last, 0) == 0;
    if (!wanted)
        set(found, DD_FOUND_NOTHING, "another case failed: %.80s", first[0] ? first : last);
    else if (ended)
        set(found, DD_FOUND_IT, "%.40s %.60s", trial->program, first);
    else
        set(found, end->ending == DD_TOOL_LATE ? DD_FOUND_HANG : DD_FOUND_CRASH, "%.40s %.60s",
            trial->program, last[0] ? last : first);
}

/* ---- The explorer ---- */

/* Whether a row says that something is wrong; none found, or a limit reached, is no such word. */
static bool is_bad(const char *verdict)
{
    static const char *const words[] = {"CHECK", "RACE", "DEADLOCK", "LIVELOCK", "MEMORY"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(verdict, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* The first bad verdict of the rows; *given_up: one was not gone through to its end. */
static const char *bad_verdict(const json_t *rows, bool *some, bool *given_up)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *verdict = json_string_value(json_object_get(row, "verdict"));
        *some |= verdict != NULL;
        if (verdict && is_bad(verdict))
            return verdict;
        *given_up |= verdict && strcmp(verdict, "PASS") != 0 && strcmp(verdict, "none found") != 0;
    }
    return NULL;
}

/* Whether the verdict's first word is among those wanted. */
static bool is_wanted(const char *want, const char *verdict)
{
    const size_t n = strcspn(verdict, " ");
    for (const char *at = want; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == n && memcmp(at, verdict, n) == 0)
            return true;
    return !want[0];
}

static void judge_explore(const dd_trial *trial, const dd_tool_end *end, const char *said,
                          dd_finding *found)
{
    json_t *rows = json_loads(said, JSON_DISABLE_EOF_CHECK, NULL);
    bool some = false, given_up = end->ending == DD_TOOL_LATE;
    const char *verdict = bad_verdict(rows, &some, &given_up);
    const int protocol = (int)strcspn(trial->arguments, " ");
    if (verdict)
        set(found, is_wanted(trial->want, verdict) ? DD_FOUND_IT : DD_FOUND_NOTHING, "%.*s %s%s",
            protocol, trial->arguments, verdict, strstr(trial->arguments, "c11") ? ", C11" : "");
    else if (given_up) /* by a limit of ours: nothing is shown by it */
        set(found, DD_FOUND_NOTHING, DD_GIVEN_UP " %.*s", protocol, trial->arguments);
    else if (!is_signal(end->status) && !some)
        set(found, DD_FOUND_UNFIT, "no verdict, exit code %d", end->status);
    else
        by_ending(end, found);
    json_decref(rows);
}

/* ---- Trainings ---- */

static void judge_serial(const dd_tool_end *end, const char *said, const char *oracle,
                         dd_finding *found)
{
    char hash[DD_HASH_TEXT];
    by_ending(end, found);
    if (found->kind != DD_FOUND_NOTHING)
        return;
    if (end->status != 0)
        set(found, DD_FOUND_IT, "no weights, exit code %d", end->status);
    else if (!dd_judge_hash(said, hash))
        set(found, DD_FOUND_UNFIT, "no hash of the weights");
    else if (strcmp(hash, oracle) != 0)
        set(found, DD_FOUND_IT, "weights differ");
}

/* Words of which one stands in what each of them reports. */
static const char *const reports[DD_N_MEANS][4] = {
    [DD_MEANS_TSAN] = {"ThreadSanitizer: "},
    [DD_MEANS_ASAN] = {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error: "},
    [DD_MEANS_HELGRIND] = {"Possible data race"},
    [DD_MEANS_DRD] = {"Conflicting load", "Conflicting store"},
    [DD_MEANS_MEMCHECK] = {"Invalid read", "Invalid write", "Invalid free", "uninitialised"},
    [DD_MEANS_GUARD] = {"forbids it"},
    [DD_MEANS_FINITE] = {"not finite"},
    [DD_MEANS_WATCHDOG] = {"HANG"},
};

static void judge_report(const dd_trial *trial, const dd_tool_end *end, const char *said,
                         dd_finding *found)
{
    const bool by_exit = trial->means <= DD_MEANS_ASAN && end->ending == DD_TOOL_ENDED &&
                         end->status == atoi(DD_REPORT_EXIT);
    const char *seen = by_exit ? "reported" : NULL;
    for (size_t i = 0; !seen && i < 4 && reports[trial->means][i]; i++)
        if (strstr(said, reports[trial->means][i]))
            seen = reports[trial->means][i];
    char name[112];
    if (seen)
        set(found, DD_FOUND_IT, "%s", seen);
    else if (end->ending == DD_TOOL_ENDED && end->status && marked(said, "[  FAILED  ] ", name))
        set(found, DD_FOUND_IT, "%.40s %.60s", trial->program, name);
    else if (trial->means == DD_MEANS_WATCHDOG && end->ending == DD_TOOL_ENDED &&
             !is_signal(end->status) && end->status > 1)
        set(found, DD_FOUND_UNFIT, "no cell was run, exit code %d", end->status);
    else
        by_ending(end, found);
}

void dd_judge(const dd_trial *trial, const dd_tool_end *end, const char *said, const char *oracle,
              dd_finding *found)
{
    if (trial->means == DD_MEANS_UNIT)
        judge_unit(trial, end, said, found);
    else if (trial->means == DD_MEANS_EXPLORE)
        judge_explore(trial, end, said, found);
    else if (trial->means == DD_MEANS_SERIAL)
        judge_serial(end, said, oracle, found);
    else
        judge_report(trial, end, said, found);
}
