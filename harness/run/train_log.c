/* SPDX-License-Identifier: MIT
 * The log's file: begun, gone on with, written line by line. What stands in the lines is made in
 * train_json.c. Overwrites nothing. */
#include "train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_line.h"

struct dd_train_log {
    int fd;
    char *path;
};

__attribute__((format(printf, 3, 4))) static dd_status refuse(dd_error *error, const char *path,
                                                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = snprintf(error->message, sizeof error->message, "log %.200s: ", path);
    (void)vsnprintf(error->message + n, sizeof error->message - (size_t)n, format, args);
    va_end(args);
    return DD_ERR_DATA;
}

/* ---- Going on with a log ---- */

/* Settings that decide the bits but are compared by what they lead to, shape and data's hash. */
static bool compared_otherwise(const char *key)
{
    return strcmp(key, "model") == 0 || strcmp(key, "data") == 0 || strcmp(key, "data-else") == 0;
}

static dd_status same_training(const char *path, const json_t *there, const json_t *here,
                               dd_error *error)
{
    static const char *const wholes[] = {"shape", "data_hash"};
    static const char *const words[] = {"model of another shape", "other data"};
    for (size_t k = 0; k < 2; k++)
        if (!json_equal(json_object_get(there, wholes[k]), json_object_get(here, wholes[k])))
            return refuse(error, path,
                          "it is the log of a training with %s; name another file for this one",
                          words[k]);
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    const json_t *old = json_object_get(there, "settings"),
                 *new = json_object_get(here, "settings");
    for (size_t k = 0; k < n; k++) {
        const char *a = json_string_value(json_object_get(old, keys[k].name));
        const char *b = json_string_value(json_object_get(new, keys[k].name));
        if (!keys[k].decides_bits || compared_otherwise(keys[k].name) || (!a && !b))
            continue;
        if (!a || !b || strcmp(a, b) != 0)
            return refuse(error, path,
                          "it is the log of a training with %s %s, this one has %s; name another "
                          "file for this one",
                          keys[k].name, a ? a : "none", b ? b : "none");
    }
    return DD_OK;
}

/* The head's line, of a file open for reading.  returns  NULL: it is none */
static json_t *first_head(FILE *file)
{
    char *text = NULL;
    size_t room = 0;
    const ssize_t n = getline(&text, &room, file);
    json_t *head = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    free(text);
    if (json_integer_value(json_object_get(head, "dodeca_log")) == DD_TRAIN_LOG_VERSION)
        return head;
    json_decref(head);
    return NULL;
}

/* Where the last whole line ends. */
static off_t whole_bytes(FILE *file)
{
    off_t end = 0;
    char *text = NULL;
    size_t room = 0;
    ssize_t n;
    rewind(file);
    while ((n = getline(&text, &room, file)) > 0 && text[n - 1] == '\n')
        end += n;
    free(text);
    return end;
}

/* Judges what is there, and takes a line away that was cut off. */
static dd_status go_on(dd_train_log *log, const json_t *head, dd_error *error)
{
    FILE *file = fopen(log->path, "re");
    if (!file)
        return refuse(error, log->path, "%s", strerror(errno));
    json_t *there = first_head(file);
    dd_status st = DD_ERR_DATA;
    if (!there)
        (void)refuse(error, log->path,
                     "there is such a file, and it is no log of `dodeca train' of version %d",
                     DD_TRAIN_LOG_VERSION);
    else
        st = same_training(log->path, there, head, error);
    json_decref(there);
    if (st == DD_OK && ftruncate(log->fd, whole_bytes(file)) != 0)
        st = refuse(error, log->path, "%s", strerror(errno));
    (void)fclose(file);
    return st;
}

/* ---- Interface ---- */

/* Creates the file, or opens the one that is gone on with. */
static dd_status open_file(dd_train_log *log, bool resumed, const json_t *head, bool *created,
                           dd_error *error)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK;
    struct stat about;
    log->fd = open(log->path, flags | O_CREAT | O_EXCL, 0666);
    *created = log->fd >= 0;
    if (!*created && errno == EEXIST && resumed)
        log->fd = open(log->path, flags);
    if (log->fd < 0)
        return refuse(error, log->path, "%s",
                      errno == EEXIST
                          ? "there is such a file; only a training that is resumed adds "
                            "to one, and none is overwritten"
                          : strerror(errno));
    if (*created)
        return DD_OK;
    if (fstat(log->fd, &about) != 0 || !S_ISREG(about.st_mode))
        return refuse(error, log->path, "it is no regular file");
    return about.st_size > 0 ? go_on(log, head, error) : DD_OK;
}

dd_status dd_train_log_open(const char *path, bool resumed, json_t *head, dd_train_log **out,
                            dd_error *error)
{
    dd_status st = DD_ERR_MEMORY;
    bool created = false;
    dd_train_log *log = calloc(1, sizeof *log);
    if (log && (log->path = strdup(path)) && head)
        st = open_file(log, resumed, head, &created, error);
    else
        (void)refuse(error, path, "cannot begin: no memory, or a path that is not UTF-8");
    if (st == DD_OK)
        st = dd_train_log_write(log, json_incref(head), error);
    json_decref(head);
    if (st == DD_OK) {
        *out = log;
        return DD_OK;
    }
    if (created)
        (void)unlink(path);
    dd_train_log_close(log);
    return st;
}

dd_status dd_train_log_write(dd_train_log *log, json_t *line, dd_error *error)
{
    char why[DD_MESSAGE_MAX];
    const dd_status st = dd_json_line_write(log->fd, line, why);
    if (st != DD_OK)
        (void)refuse(error, log->path, "%.280s", why);
    return st;
}

void dd_train_log_close(dd_train_log *log)
{
    if (!log)
        return;
    if (log->fd > 0)
        close(log->fd);
    free(log->path);
    free(log);
}
