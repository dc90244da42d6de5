/* SPDX-License-Identifier: MIT
 * Draws rounds. */
#include "soak_draw.h"

#include "kernels.h"
#include "random.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PURPOSE_DRAW                                                                               \
    35 /* of random numbers, beside those of random.h, timetables, storms, chaos                   \
        */
#define TRIES_MAX 1000
#define KEYS_A_TRY 64

static bool is_key(const dd_key *key, const char *name)
{
    return strcmp(key->name, name) == 0;
}

/* "7", or "3..9" with whole numbers that ascend. */
static bool read_range(const char *text, uint64_t *low, uint64_t *high)
{
    char first[24];
    const char *dots = strstr(text, "..");
    if (!dots)
        return dd_text_uint(text, low) && dd_text_uint(text, high);
    const size_t n = (size_t)(dots - text);
    if (n >= sizeof first)
        return false;
    memcpy(first, text, n);
    first[n] = '\0';
    return dd_text_uint(first, low) && dd_text_uint(dots + 2, high) && *low < *high;
}

static const char random_prefix[] = "random ";

bool dd_drawn_check(const dd_key *key, const char *item, char message[DD_MESSAGE_MAX])
{
    uint64_t low, high;
    dd_settings scratch;
    dd_settings_default(&scratch);
    const bool timetable = is_key(key, "timetable"), storm = is_key(key, "storm");
    if ((timetable || storm) && strcmp(item, "none") == 0)
        return true;
    if (storm && read_range(item, &low, &high))
        return low >= 1 ||
               dd_text_refuse(message, "storm \"%.64s\": none, or 1 command or more", item);
    if (timetable && strncmp(item, random_prefix, strlen(random_prefix)) == 0 &&
        read_range(item + strlen(random_prefix), &low, &high))
        return low >= 1 ||
               dd_text_refuse(message, "timetable \"%.64s\": none, or 1 change or more", item);
    if (key->type == DD_KEY_UINT && strstr(item, "..")) {
        char end[24];
        if (!read_range(item, &low, &high))
            return dd_text_refuse(message,
                                  "%s \"%.64s\": a range is two whole numbers that ascend, "
                                  "such as 2..12",
                                  key->name, item);
        (void)snprintf(end, sizeof end, "%" PRIu64, low);
        if (!dd_settings_set(&scratch, key->name, end, message))
            return false;
        (void)snprintf(end, sizeof end, "%" PRIu64, high);
        return dd_settings_set(&scratch, key->name, end, message);
    }
    return dd_settings_set(&scratch, key->name, item, message);
}

/* Uniform in [low, high]. */
static uint64_t draw(uint32_t random, uint64_t low, uint64_t high)
{
    const uint64_t n = high - low + 1;
    return n <= UINT32_MAX ? low + (random * n >> 32) : low + random % n;
}

/* The value that an item stands for. steps: of the run, as far as they are drawn. */
static void value_of(const dd_key *key, const char *item, const uint32_t random[4], uint64_t steps,
                     char value[DD_SPEC_MAX])
{
    uint64_t low, high;
    const bool timetable = is_key(key, "timetable"), storm = is_key(key, "storm");
    (void)snprintf(value, DD_SPEC_MAX, "%s", item);
    if ((timetable || storm) && strcmp(item, "none") == 0) {
        value[0] = '\0';
    } else if (storm && read_range(item, &low, &high)) {
        (void)snprintf(value, DD_SPEC_MAX, "%" PRIu64 " seed %" PRIu32, draw(random[1], low, high),
                       random[2]);
    } else if (timetable && strncmp(item, random_prefix, strlen(random_prefix)) == 0 &&
               read_range(item + strlen(random_prefix), &low, &high)) {
        (void)snprintf(value, DD_SPEC_MAX, "random %" PRIu64 " in %" PRIu64 " seed %" PRIu32,
                       draw(random[1], low, high), steps, random[2]);
    } else if (key->type == DD_KEY_UINT && strstr(item, "..") && read_range(item, &low, &high)) {
        (void)snprintf(value, DD_SPEC_MAX, "%" PRIu64, draw(random[1], low, high));
    }
}

static void append(char *label, const char *key, const char *value)
{
    const size_t used = strlen(label);
    (void)snprintf(label + used, DD_ROUND_LABEL_MAX - used, "%s%s=%s", used ? " " : "", key, value);
}

/* texts: timetable and storm, which depend on the number of steps; else all others. */
static bool set_drawn(const dd_scenario *scenario, uint64_t seed, uint64_t tried, bool texts,
                      dd_round *out, char message[DD_MESSAGE_MAX])
{
    for (size_t d = 0; d < scenario->n_drawn; d++) {
        const dd_drawn *drawn = &scenario->drawn[d];
        uint32_t random[4];
        char value[DD_SPEC_MAX];
        if ((is_key(drawn->key, "timetable") || is_key(drawn->key, "storm")) != texts)
            continue;
        dd_philox(seed, tried * KEYS_A_TRY + d, PURPOSE_DRAW, random);
        const char *item = drawn->item[draw(random[0], 0, drawn->n - 1)];
        value_of(drawn->key, item, random, out->settings.steps, value);
        if (value[0] && !dd_settings_set(&out->settings, drawn->key->name, value, message))
            return false;
        if (value[0])
            append(out->label, drawn->key->name, value);
        if (drawn->key->decides_bits)
            append(out->shape, drawn->key->name, value);
    }
    return true;
}

static bool try_draw(const dd_scenario *scenario, uint64_t seed, uint64_t tried, dd_round *out,
                     char message[DD_MESSAGE_MAX])
{
    size_t n;
    const dd_key *keys = dd_keys(&n);
    const char *why = NULL;
    *out = (dd_round){.seed = seed};
    dd_settings_default(&out->settings);
    for (size_t k = 0; k < n; k++)
        if (scenario->base[k] &&
            !dd_settings_set(&out->settings, keys[k].name, scenario->base[k], message))
            return false;
    if (!set_drawn(scenario, seed, tried, false, out, message) ||
        !set_drawn(scenario, seed, tried, true, out, message) ||
        !dd_settings_finish(&out->settings, message))
        return false;
    if (out->settings.subject == DD_SUBJECT_PLUGIN)
        return dd_text_refuse(message, "subject %.100s: a plug-in is swept, not drawn",
                              out->settings.plugin);
    if (!dd_kernels_select(out->settings.config.simd, &why))
        return dd_text_refuse(message, "simd %s: %s",
                              dd_key_named("simd")->choices[out->settings.config.simd],
                              why ? why : "not on this machine");
    return true;
}

bool dd_round_draw(const dd_scenario *scenario, uint64_t seed, dd_round *out,
                   char message[DD_SCENARIO_MESSAGE_MAX])
{
    char why[DD_MESSAGE_MAX] = "";
    for (uint64_t tried = 0; tried < TRIES_MAX; tried++)
        if (try_draw(scenario, seed, tried, out, why))
            return true;
    (void)snprintf(message, DD_SCENARIO_MESSAGE_MAX,
                   "%.300s: draw: %d draws from its lists were all refused, the last one: %s",
                   scenario->file, TRIES_MAX, why);
    return false;
}
