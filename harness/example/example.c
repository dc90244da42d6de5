/* SPDX-License-Identifier: MIT
 * A program that uses an installed dodeca: trains "nano" on the built-in data for as many steps as
 * its argument says (20), prints losses and the hash of the weights. That hash is that of
 * `dodeca train --steps 20 --print-hash`, whatever the number of workers. Exit: 0; 1 a call failed;
 * 2 bad usage. */
#include <dodeca.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int complain(const char *what, dd_status status, const dd_error *error)
{
    fprintf(stderr, "example: %s: %s: %s\n", what, dd_status_name(status), error->message);
    return EXIT_FAILURE;
}

static int train(dd_trainer *trainer, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        dd_step step;
        dd_error error;
        const dd_status status = dd_trainer_step(trainer, &step, &error);
        if (status != DD_OK)
            return complain("step", status, &error);
        printf("step %" PRIu64 "  loss %.6f  norm %.4f\n", step.step, step.loss, step.norm);
    }
    uint8_t hash[16];
    dd_trainer_hash(trainer, hash);
    printf("weights-hash: ");
    for (size_t i = 0; i < sizeof hash; i++)
        printf("%02x", hash[i]);
    putchar('\n');
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    char *end = "";
    const uint64_t steps = argc > 1 ? strtoull(argv[1], &end, 10) : 20;
    if (argc > 2 || *end || steps < 1 || steps > 100000) {
        fprintf(stderr, "usage: example [STEPS], 1 to 100000\n");
        return 2;
    }

    dd_config config;
    dd_config_default(&config);
    config.horizon = steps;
    config.warmup = steps / 10 < 10 ? steps / 10 : 10;
    config.workers = 2;

    /* Both closers take NULL, so one way out does for all. */
    dd_data *data = NULL;
    dd_trainer *trainer = NULL;
    dd_error error;
    int code;
    dd_status status = dd_data_open("builtin", config.seed, &data, &error);
    if (status != DD_OK)
        code = complain("data", status, &error);
    else if ((status = dd_trainer_open(&config, data, &trainer, &error)) != DD_OK)
        code = complain("trainer", status, &error);
    else
        code = train(trainer, steps);
    dd_trainer_close(trainer);
    dd_data_close(data);
    if (fflush(stdout) != 0 && code == EXIT_SUCCESS) {
        perror("example: stdout");
        code = EXIT_FAILURE;
    }
    return code;
}
