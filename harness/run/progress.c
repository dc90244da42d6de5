/* SPDX-License-Identifier: MIT
 * Progress lines. */
#include "progress.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define SHOW_NS 100000000u

void dd_progress_clock(double seconds, char text[32])
{
    uint64_t s = seconds < 3.6e8 ? (uint64_t)(seconds + 0.5) : 360000000;
    unsigned hours = (unsigned)(s / 3600), minutes = (unsigned)(s / 60 % 60);
    if (hours)
        snprintf(text, 32, "%u:%02u:%02u", hours, minutes, (unsigned)(s % 60));
    else
        snprintf(text, 32, "%u:%02u", minutes, (unsigned)(s % 60));
}

int dd_progress_columns(FILE *out)
{
    struct winsize size;
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void dd_progress_show(dd_progress *p, uint64_t run, uint64_t runs, const char *label, uint64_t step,
                      uint64_t steps, double left_s)
{
    if (!p->out || !p->terminal)
        return;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    if (p->open && now_ns - p->shown_ns < SHOW_NS)
        return;
    p->shown_ns = now_ns;
    char line[512], left[64] = "";
    if (isfinite(left_s)) {
        char clock[32];
        dd_progress_clock(left_s, clock);
        snprintf(left, sizeof left, ", %s left", clock);
    }
    char of[32] = "";
    if (runs)
        snprintf(of, sizeof of, "/%llu", (unsigned long long)runs);
    snprintf(line, sizeof line, "[%llu%s] %.200s  %llu/%llu steps%s", (unsigned long long)run, of,
             label, (unsigned long long)step, (unsigned long long)steps, left);
    fprintf(p->out, "\r\033[K%.*s", dd_progress_columns(p->out) - 1, line);
    fflush(p->out);
    p->open = true;
}

void dd_progress_clear(dd_progress *p)
{
    if (p->out && p->open)
        fputs("\r\033[K", p->out);
    p->open = false;
}

void dd_progress_say(dd_progress *p, const char *format, ...)
{
    if (!p->out)
        return;
    dd_progress_clear(p);
    va_list args;
    va_start(args, format);
    vfprintf(p->out, format, args);
    va_end(args);
    fputc('\n', p->out);
    fflush(p->out);
}
