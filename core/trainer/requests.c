/* SPDX-License-Identifier: MIT
 * What the caller asks for: steps, validation, commands, the culprit of a step that was not finite.
 * Owns the words in which a refusal is told. */
#include "trainer_parts.h"

#include "error.h"
#include "packed.h"
#include "save_file.h"
#include "tokens.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What a request is called in messages: behind it stands the number of a step. */
static const char *name_of(const dd_trainer *t, dd_request kind, uint64_t *step)
{
    *step = dd_u64_load(&t->step, DD_RELAXED);
    if (kind == DD_TEAM_STEP)
        return "step";
    if (t->each_mode == DD_EACH_VALIDATE)
        return "validation before step";
    *step = t->result.step;
    return "replay of step";
}

static dd_status request(dd_trainer *t, dd_request kind, dd_error *error)
{
    uint32_t thread = 0, fp_env = 0;
    dd_status st = dd_team_request(t->team, kind, &thread, &fp_env);
    uint64_t step;
    const char *what = name_of(t, kind, &step);
    switch (st) {
    case DD_OK:
        break;
    case DD_ERR_FP_ENV: {
        dd_thread_report report;
        char place[DD_PLACE_TEXT];
        dd_team_report(t->team, thread, &report);
        dd_place_write(report.place, place);
        return dd_error_set(
            error, st,
            "thread %" PRIu32 " (sphere %s): floating-point control is 0x%x at a point of %s "
            "%" PRIu64 " and was 0x%x, as it must be, at the point before: something in this "
            "process changed it (loading a library built with -ffast-math or -Ofast does)",
            thread, place, fp_env, what, step, DD_FP_ENV_DEFAULT);
    }
    case DD_ERR_CANCELLED:
        return dd_error_set(error, st, "%s %" PRIu64 " was cancelled", what, step);
    case DD_ERR_STOPPED:
        return dd_error_set(error, st,
                            "%s %" PRIu64 ": the trainer is stopped; the command start lets it "
                            "go on",
                            what, step);
    default:
        return dd_error_set(error, st, "%s %" PRIu64 ": %s", what, step, dd_status_name(st));
    }
    if (t->guard_failed)
        return dd_error_set(error, DD_ERR_MEMORY,
                            "%s %" PRIu64 ": the system refused to change the protection of the "
                            "weights' or the batch's pages",
                            what, step);
    return DD_OK;
}

/* ---- Steps ---- */

/* Replays the step's lanes one by one for the lowest (lane, tensor, index) that is not finite. The
 * weights are those the step began with, unless a restore that another thread asked for came
 * between. */
static dd_status find_culprit(dd_trainer *t, dd_culprit *culprit, dd_error *error)
{
    const dd_layout *layout = &t->model.layout;
    uint64_t element;
    if (t->guard) /* a right to read comes with that: an old thread had none so far */
        dd_guard_let_go(t->guard, t->root);
    /* the root's lookup rows are in wte by now */
    bool in_root = dd_gradient_find_nonfinite(layout, t->gradient, &element);

    t->each_mode = DD_EACH_REPLAY;
    dd_status st = request(t, DD_TEAM_EACH, error);
    if (st == DD_ERR_CANCELLED) /* meant for the next step: this one is over */
        dd_team_cancel(t->team);
    if (st)
        return st;
    const char *whole = isfinite(t->result.loss) ? "norm" : "loss";
    *culprit = (dd_culprit){.lane = DD_NO_LANE, .worker = DD_NO_LANE, .tensor = whole};
    for (uint32_t l = 0; l < t->n_lanes; l++) {
        const dd_lane_result *r = &t->lane_result[l];
        if (!t->lane_tokens[l] || (!r->nonfinite && isfinite(r->loss)))
            continue;
        culprit->lane = l;
        culprit->worker = r->worker;
        culprit->tensor = "loss";
        in_root = r->nonfinite;
        element = r->element;
        break;
    }
    if (in_root) {
        dd_tensor k = dd_layout_tensor_of(layout, element);
        culprit->tensor = dd_tensor_name(k);
        culprit->index = element - layout->offset[k];
    }
    return DD_OK;
}

static void name_culprit(dd_trainer *t, dd_step *step, dd_error *error)
{
    dd_culprit *c = &step->culprit;
    dd_error why;
    dd_status st = find_culprit(t, c, &why);
    const bool value = st || !strcmp(c->tensor, "loss") || !strcmp(c->tensor, "norm");
    const char *what = value ? "value" : "gradient";
    if (st)
        dd_error_set(error, DD_ERR_NONFINITE,
                     "step %" PRIu64 ": loss %g, gradient norm %g; nothing names the lane: %s",
                     step->step, step->loss, step->norm, why.message);
    else if (c->lane == DD_NO_LANE)
        dd_error_set(
            error, DD_ERR_NONFINITE,
            "step %" PRIu64
            ": run once more every lane is finite, but their fold was not: %s of %s[%" PRIu64 "]",
            step->step, what, c->tensor, c->index);
    else
        dd_error_set(error, DD_ERR_NONFINITE,
                     "step %" PRIu64 ": not finite first in lane %" PRIu32 " (worker %" PRIu32
                     "): %s of %s[%" PRIu64 "]",
                     step->step, c->lane, c->worker, what, c->tensor, c->index);
}

dd_status dd_trainer_step(dd_trainer *t, dd_step *out, dd_error *error)
{
    if (!t)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_trainer_step: trainer is NULL");
    uint64_t start_ns = dd_now_ns();
    dd_status st = request(t, DD_TEAM_STEP, error);
    if (st)
        return st;
    dd_step step = t->result;
    if (step.discarded) {
        name_culprit(t, &step, error);
        if (t->config.nan_policy == DD_NAN_ABORT)
            st = DD_ERR_NONFINITE;
    }
    step.wall_ns = dd_now_ns() - start_ns;
    dd_saving_look_(t);
    if (out)
        *out = step;
    return st;
}

/* ---- Validation ---- */

/* A sum some of whose operands may be absent. */
typedef struct partial_sum {
    double value;
    bool present;
} partial_sum;

static partial_sum join(partial_sum left, partial_sum right)
{
    if (!left.present || !right.present)
        return left.present ? left : right;
    return (partial_sum){left.value + right.value, true};
}

/* Folds the losses of the 12^depth lanes from `lane` on by the tree of NUMERICS 7, empty lanes
 * skipped. */
static partial_sum fold_losses(const dd_trainer *t, uint32_t depth, uint32_t lane)
{
    if (depth == 0)
        return (partial_sum){t->lane_result[lane].loss, t->lane_tokens[lane] > 0};
    const uint32_t n = dd_power_of_12(depth - 1); /* lanes of a position */
    partial_sum triangle[4];
    for (uint32_t i = 0; i < 4; i++) {
        triangle[i] = fold_losses(t, depth - 1, lane + 3 * i * n);
        for (uint32_t p = 3 * i + 1; p < 3 * i + 3; p++)
            triangle[i] = join(triangle[i], fold_losses(t, depth - 1, lane + p * n));
    }
    return join(join(triangle[0], triangle[1]), join(triangle[2], triangle[3]));
}

dd_status dd_trainer_validate(dd_trainer *t, uint32_t n_batches, double *loss, dd_error *error)
{
    if (!t || !loss)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_trainer_validate: trainer and loss must not be NULL");
    dd_status st = dd_fp_env_check(error); /* the lanes' losses are folded here */
    if (st)
        return st;
    uint32_t T = t->config.seq, B = t->config.batch;
    uint64_t full = t->split.validation_windows / B;
    if (!n_batches || !full)
        return dd_error_set(
            error, DD_ERR_DATA,
            "validation needs a full batch of %u windows of %u tokens; the source has %" PRIu64
            " windows for it and %u batches were asked for",
            B, T + 1, t->split.validation_windows, n_batches);
    uint64_t n = n_batches < full ? n_batches : full;
    double sum = 0;
    t->each_mode = DD_EACH_VALIDATE;
    for (uint64_t i = 0; i < n; i++) {
        t->validation_batch = i;
        if ((st = request(t, DD_TEAM_EACH, error)))
            return st;
        sum += fold_losses(t, t->config.lane_depth, 0).value / ((double)B * T);
    }
    *loss = sum / (double)n;
    return DD_OK;
}

/* ---- Weights ---- */

dd_status dd_trainer_set_weights(dd_trainer *t, uint64_t first, uint64_t n, const float *values,
                                 dd_error *error)
{
    if (!t || !values)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_trainer_set_weights: trainer and values must not be NULL");
    if (first > t->P || n > t->P - first)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_trainer_set_weights: %" PRIu64 " values from parameter %" PRIu64
                            " on; there are %" PRIu64 " parameters",
                            n, first, t->P);
    if (!dd_trainer_lift_(t))
        return dd_error_set(error, DD_ERR_MEMORY,
                            "dd_trainer_set_weights: the system refuses to let the weights' pages "
                            "be written");
    float *weights = t->kept_array[DD_KEPT_WEIGHTS];
    dd_before_write_(t, DD_KEPT_WEIGHTS, first * sizeof *weights, (first + n) * sizeof *weights);
    memcpy(weights + first, values, n * sizeof *weights);
    dd_packed_write(t->model.kernels, &t->model.layout, first, first + n, weights, t->packed);
    return DD_OK;
}

/* ---- The control process ---- */

void dd_trainer_cancel(dd_trainer *t)
{
    if (t)
        dd_team_cancel(t->team);
}

dd_state dd_trainer_state(const dd_trainer *t)
{
    return dd_team_state(t->team);
}

dd_status dd_trainer_command(dd_trainer *t, dd_command command, dd_error *error)
{
    if (!t || (unsigned)command >= DD_COMMANDS)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_trainer_command: %s",
                            t ? "there is no such command" : "trainer is NULL");
    if (command == DD_COMMAND_SPAWN || command == DD_COMMAND_TERMINATE)
        return dd_error_set(error, DD_ERR_ARGUMENT, "%s: dd_trainer_%s says at which sphere",
                            dd_command_name(command), dd_command_name(command));
    return dd_team_command(t->team, command, (dd_place){0}, 0, error);
}

static dd_status read_place(dd_trainer *t, const char *sphere, const char *command, dd_place *place,
                            dd_error *error)
{
    if (!t)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_trainer_%s: trainer is NULL", command);
    if (!sphere || !dd_place_read(sphere, place))
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "%s: \"%.64s\" is no sphere; write positions, 0 to 11, from the root "
                            "down, as in 3 or 3.0.11",
                            command, sphere ? sphere : "");
    return DD_OK;
}

dd_status dd_trainer_spawn(dd_trainer *t, const char *sphere, uint32_t n_children, dd_error *error)
{
    dd_place place;
    dd_status st = read_place(t, sphere, "spawn", &place, error);
    if (st)
        return st;
    if (n_children < 1 || n_children > DD_POSITIONS)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "spawn: %" PRIu32 " children; a sphere has room for 1 to %d",
                            n_children, DD_POSITIONS);
    return dd_team_command(t->team, DD_COMMAND_SPAWN, place, n_children, error);
}

dd_status dd_trainer_terminate(dd_trainer *t, const char *sphere, dd_error *error)
{
    dd_place place;
    dd_status st = read_place(t, sphere, "terminate", &place, error);
    return st ? st : dd_team_command(t->team, DD_COMMAND_TERMINATE, place, 0, error);
}
