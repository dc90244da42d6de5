/* SPDX-License-Identifier: MIT
 * Writes and reads files of weights. */
#include "weights_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "text.h"

typedef struct head {
    char letters[8];
    uint32_t version, shape[5];
    uint64_t n, steps;
    uint8_t hash[16];
} head;
_Static_assert(sizeof(head) == 64, "as it lies in the file");

static head head_of(const dd_shape *s, uint64_t steps)
{
    return (head){.letters = {'D', 'D', 'W', 'E', 'I', 'G', 'H', 'T'},
                  .version = 1,
                  .shape = {s->L, s->NH, s->C, s->V, s->T_max},
                  .n = dd_shape_n_parameters(s),
                  .steps = steps};
}

int dd_weights_file_create(const char *path, char message[DD_MESSAGE_MAX])
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        dd_text_refuse(message, "%.200s: %s", path,
                       errno == EEXIST ? "there is such a file, and none is overwritten"
                                       : strerror(errno));
    return fd;
}

static bool write_all(int fd, const void *from, size_t bytes)
{
    for (const char *at = from; bytes > 0;) {
        const ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool dd_weights_file_write(int fd, const char *path, const dd_shape *shape, uint64_t steps,
                           const float *weights, char message[DD_MESSAGE_MAX])
{
    head h = head_of(shape, steps);
    dd_hash128(weights, h.n * sizeof *weights, h.hash);
    const bool written =
        write_all(fd, &h, sizeof h) && write_all(fd, weights, h.n * sizeof *weights);
    const int why = errno;
    const bool closed = close(fd) == 0;
    return (written && closed) || dd_text_refuse(message, "%.200s: cannot be written: %s", path,
                                                 strerror(written ? errno : why));
}

bool dd_weights_file_read(const char *path, const dd_shape *shape, uint64_t steps, float **weights,
                          char message[DD_MESSAGE_MAX])
{
    const head want = head_of(shape, steps);
    const size_t bytes = want.n * sizeof **weights;
    head got;
    uint8_t hash[16];
    FILE *file = fopen(path, "re");
    float *values = malloc(bytes);
    bool ok = file && values && fread(&got, sizeof got, 1, file) == 1 &&
              memcmp(&got, &want, offsetof(head, hash)) == 0 &&
              fread(values, bytes, 1, file) == 1 && getc(file) == EOF;
    if (ok) {
        dd_hash128(values, bytes, hash);
        ok = memcmp(hash, got.hash, sizeof hash) == 0;
    }
    if (file)
        fclose(file);
    if (ok) {
        *weights = values;
        return true;
    }
    free(values);
    return dd_text_refuse(message, "%.200s: not the whole weights of that shape and step", path);
}
