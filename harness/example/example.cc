// SPDX-License-Identifier: MIT
// dodeca from C++11: a step of training, whose objects close themselves.
#include <cstdio>
#include <dodeca.h>
#include <memory>

int main()
{
    dd_config config;
    dd_config_default(&config);
    config.workers = 2;
    dd_data *data = nullptr;
    dd_trainer *trainer = nullptr;
    dd_error error;
    dd_step step;
    dd_status status = dd_data_open("builtin", config.seed, &data, &error);
    std::unique_ptr<dd_data, decltype(&dd_data_close)> close_data(data, dd_data_close);
    if (status == DD_OK)
        status = dd_trainer_open(&config, data, &trainer, &error);
    std::unique_ptr<dd_trainer, decltype(&dd_trainer_close)> close(trainer, dd_trainer_close);
    if (status == DD_OK)
        status = dd_trainer_step(trainer, &step, &error);
    if (status == DD_OK)
        std::printf("dodeca %s: loss %.6f\n", dd_version(), step.loss);
    else
        std::fprintf(stderr, "%s\n", error.message);
    return status == DD_OK ? 0 : 1;
}
