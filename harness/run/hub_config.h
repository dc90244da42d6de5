/* SPDX-License-Identifier: MIT
 * The config.json that other libraries want beside a GPT-2 in safetensors: the folder of both is a
 * model to them. */
#ifndef DD_HUB_CONFIG_H
#define DD_HUB_CONFIG_H

#include "dodeca.h"

/* The path of the config.json in the folder of `beside`, which is to be a file.
 * owns     the caller frees it; NULL: no memory                                                */
char *dd_hub_config_path(const char *beside);
/* Writes it, whole or not at all. A file of that name is replaced.
 * errors   DD_ERR_MEMORY, DD_ERR_DATA with what the system said                               */
dd_status dd_hub_config_write(const char *path, const dd_shape *shape, dd_error *error);

#endif
