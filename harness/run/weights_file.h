/* SPDX-License-Identifier: MIT
 * Weights in a file: 64 bytes, then every parameter in canonical order as a little-endian float.
 * The head is the letters DDWEIGHT, then little-endian: 32 bits each the version (1), L, NH, C, V
 * and T of the shape; 64 bits each the number of parameters and of the steps behind them; their
 * XXH3-128, high half first. No checkpoint: neither moments nor settings are in it. */
#ifndef DD_WEIGHTS_FILE_H
#define DD_WEIGHTS_FILE_H

#include "settings.h"

/* Creates the file, empty, so that what cannot be written is refused before there is anything to
 * write.  returns  a descriptor; -1, message filled: it exists or cannot be created           */
int dd_weights_file_create(const char *path, char message[DD_MESSAGE_MAX]);
/* Writes it, and closes the descriptor.  returns  false, message filled */
bool dd_weights_file_write(int fd, const char *path, const dd_shape *shape, uint64_t steps,
                           const float *weights, char message[DD_MESSAGE_MAX]);

/* The weights of a file that must be of that shape and that many steps.
 * owns     *weights on success, released by free
 * returns  false, message filled: it is no such file, or its hash is not that of its content  */
bool dd_weights_file_read(const char *path, const dd_shape *shape, uint64_t steps, float **weights,
                          char message[DD_MESSAGE_MAX]);

#endif
