/* SPDX-License-Identifier: MIT
 * Journals: what is read back is what was run, to the last bit; a journal that was cut off anywhere
 * loses the run in progress and no other; what is not the same sweep is refused with its name; and
 * nothing that a file can hold brings the reader down. Of two that begin in one folder one has it,
 * and the other leaves it as it is. */
#include "folder_fixture.h"
#include "report.h"
#include "report_fixture.h"
#include "sweep_job.h"
#include "sweep_times.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const dd_machine machine = {.cpu = "planted", .isa = "none", .kernel = "none", .cores = 4};
static const char *const sets[] = {"steps=5", "data=bytes:/a=b"};

/* A folder with the journal of the fixture's sweep. */
typedef struct planted {
    fixture *f;
    char file[128], journal[128];
    char message[DD_JOURNAL_MESSAGE_MAX];
    char *text; /* of the journal */
    size_t bytes;
} planted;

static void must(bool held, const char *message)
{
    if (!held)
        fail_msg("%s", message);
}

/* Every run that the sweep has, in the order of repeats. */
static void add_all(planted *p, dd_journal *j)
{
    must(dd_journal_add(j, p->f->sweep, &(dd_sweep_place){.oracle = true}, p->message), p->message);
    for (uint32_t r = 0; r < 3; r++)
        for (size_t i = 0; i < N_CELLS; i++)
            if (p->f->sweep->cells[i].repeats[r].run.outcome != DD_RUN_NOT_RUN)
                must(dd_journal_add(j, p->f->sweep, &(dd_sweep_place){.at = i, .repeat = r},
                                    p->message),
                     p->message);
}

static int plant(void **state)
{
    planted *p = calloc(1, sizeof *p);
    void *f = NULL;
    dd_journal *j;
    assert_true(p && set_up(&f) == 0);
    p->f = f;
    assert_int_equal(make_folder(state), 0);
    snprintf(p->file, sizeof p->file, "%s/a.yaml", folder);
    snprintf(p->journal, sizeof p->journal, "%s/" DD_JOURNAL_NAME, folder);
    write_file(p->file, "steps: 5\n", 9);
    p->f->scenario.file = p->file;
    /* numbers that only survive if no digit is lost, and what few runs have */
    dd_run *run = &p->f->sweep->cells[1].repeats[2].run;
    run->steps[3].loss = 0x1.921fb54442d18p+1;
    run->steps[4].norm = 0x0.0000000000001p-1022;
    run->end.info.lane_bound = 0x1.fffffffffffffp+0;
    run->end.storm.pauses = 3;
    run->perturbations = 7;
    run->wall_ns = UINT64_C(123456789012345);
    run->stall = strdup("{\"a\": \"\\\"quoted\\\"\"}");
    dd_run *lacking = &p->f->sweep->cells[3].repeats[1].run;
    lacking->outcome = DD_RUN_REFUSED;
    lacking->end.status = DD_ERR_CPU;
    strcpy(lacking->end.message, "this CPU has no AVX2");
    strcpy(lacking->reason, "this CPU has no AVX2");
    p->f->sweep->started = 1;
    must(dd_journal_take(folder, &j, p->message), p->message);
    must(dd_journal_begin(j, p->f->sweep, sets, 2, &machine, p->message), p->message);
    add_all(p, j);
    dd_journal_close(j);
    p->text = read_file(p->journal, &p->bytes);
    *state = p;
    return 0;
}

static int uproot(void **state)
{
    planted *p = *state;
    void *f = p->f;
    (void)remove(p->journal);
    (void)remove(p->file);
    assert_int_equal(count_files(), 0); /* nothing else was left there */
    free(p->text);
    free(p);
    return tear_down(&f) || remove_folder(state);
}

/* A sweep laid out anew, with what the journal gives back; NULL: refused. */
static dd_sweep *restore(planted *p, const dd_machine *on, dd_journal **j)
{
    if (!dd_journal_open(folder, j, p->message))
        return NULL;
    dd_sweep *sweep = dd_sweep_open(&p->f->scenario);
    assert_non_null(sweep);
    if (dd_journal_restore(*j, sweep, on, p->message))
        return sweep;
    dd_sweep_close(sweep);
    dd_journal_close(*j);
    return NULL;
}

/* run.json without what is of the moment. */
static char *json_of(const dd_sweep *sweep)
{
    dd_report report = {.machine = machine};
    char *text = NULL;
    size_t size;
    dd_sweep copy = *sweep;
    copy.started = 1;
    copy.wall_ns = 1;
    FILE *out = open_memstream(&text, &size);
    assert_true(out && dd_report_json(&report, &copy, out) && fclose(out) == 0);
    return text;
}

static void test_read_back(void **state)
{
    planted *p = *state;
    dd_journal *j;
    size_t n;
    free(p->f->sweep->cells[3].repeats[0].run.log); /* its file is the report's, and not here */
    p->f->sweep->cells[3].repeats[0].run.log = NULL;
    dd_sweep_judge(p->f->sweep);
    dd_sweep *sweep = restore(p, &machine, &j);
    must(sweep, p->message);
    assert_string_equal(dd_journal_file(j), p->file);
    assert_string_equal(dd_journal_sets(j, &n)[1], sets[1]);
    assert_int_equal(n, 2);
    char *before = json_of(p->f->sweep), *after = json_of(sweep);
    assert_string_equal(after, before);
    free(before);
    free(after);
    const dd_run *run = &sweep->cells[1].repeats[2].run;
    assert_true(run->steps[3].loss == 0x1.921fb54442d18p+1);
    assert_true(run->steps[4].norm == 0x0.0000000000001p-1022);
    assert_true(run->end.info.lane_bound == 0x1.fffffffffffffp+0);
    assert_true(run->end.info.kernels == run->end.kernels); /* its own, not the writer's */
    assert_int_equal(sweep->runs_done, 12);
    assert_int_equal(sweep->runs_due, 13);
    assert_int_equal(sweep->cells[3].verdict, DD_HANG);
    assert_true(dd_sweep_spent_s(sweep) == dd_sweep_spent_s(p->f->sweep));
    /* and it goes on: what is added now is there next time */
    dd_sweep_place place = {.at = 3, .repeat = 2};
    end_run(&sweep->cells[3].repeats[2].run, 2, 500);
    must(dd_journal_add(j, sweep, &place, p->message), p->message);
    dd_sweep_close(sweep);
    dd_journal_close(j);
    sweep = restore(p, &machine, &j);
    must(sweep, p->message);
    assert_int_equal(sweep->runs_done, sweep->runs_due);
    dd_sweep_close(sweep);
    dd_journal_close(j);
}

/* Runs whose last line is whole within so many bytes. */
static size_t whole_runs(const planted *p, size_t bytes)
{
    size_t n = 0;
    for (const char *at = p->text; (at = strstr(at, "{\"done\"")); at++) {
        const char *end = strchr(at, '\n');
        n += end && end < p->text + bytes;
    }
    return n;
}

/* The journal cut off there: what is whole counts, and what is added then is read, too. */
static void cut_at(planted *p, size_t bytes)
{
    const size_t head = (size_t)(strchr(p->text, '\n') - p->text) + 1;
    const size_t runs = whole_runs(p, bytes);
    dd_journal *j;
    write_file(p->journal, p->text, bytes);
    dd_sweep *sweep = restore(p, &machine, &j);
    assert_true(!!sweep == (bytes >= head));
    if (!sweep) {
        assert_non_null(strstr(p->message, "run the scenario anew, with --out "));
        assert_non_null(strstr(p->message, " --replace"));
        return;
    }
    assert_int_equal(sweep->runs_done, runs);
    dd_sweep_place place = {.at = 3, .repeat = 2};
    end_run(&sweep->cells[3].repeats[2].run, 2, 500);
    must(dd_journal_add(j, sweep, &place, p->message), p->message);
    dd_sweep_close(sweep);
    dd_journal_close(j);
    sweep = restore(p, &machine, &j);
    must(sweep, p->message);
    assert_int_equal(sweep->runs_done, runs + 1);
    dd_sweep_close(sweep);
    dd_journal_close(j);
}

/* In the midst of lines, before their ends and behind them, in turn. */
static void test_cut_anywhere(void **state)
{
    planted *p = *state;
    assert_int_equal(whole_runs(p, p->bytes), 12);
    cut_at(p, 0);
    for (size_t at = 0, n, line = 0; at < p->bytes; at += n, line++) {
        n = (size_t)(strchr(p->text + at, '\n') - (p->text + at)) + 1;
        cut_at(p, at + (line % 3 == 0 ? n / 2 : line % 3 == 1 ? n - 1 : n));
    }
}

static void must_refuse(planted *p, const dd_machine *on, const char *why)
{
    dd_journal *j;
    dd_sweep *sweep = restore(p, on, &j);
    if (sweep || !strstr(p->message, why) || strchr(p->message, '\n'))
        fail_msg("\"%s\", expected \"%s\"", sweep ? "resumed" : p->message, why);
}

/* The journal with one text in place of another. */
static void replace(planted *p, const char *from, const char *to)
{
    const char *at = strstr(p->text, from);
    assert_non_null(at);
    FILE *f = fopen(p->journal, "w");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(at - p->text), p->text, to, at + strlen(from));
    assert_int_equal(fclose(f), 0);
}

static void test_what_differs_is_named(void **state)
{
    planted *p = *state;
    dd_machine other = machine;
    strcpy(other.cpu, "another");
    must_refuse(p, &other, "the machine's cpu is \"another\", it was \"planted\"");
    other = machine;
    other.cores = 2;
    must_refuse(p, &other, "the machine's cores_usable is 2, it was 4");
    p->f->cells[2].settings.config.batch = 24;
    must_refuse(p, &machine, "batch of cell 3 (a cell) is \"24\", it was \"12\"");
    p->f->cells[2].settings.config.batch = 12;
    p->f->scenario.n_cells = 3;
    must_refuse(p, &machine, "the scenario has 3 cells, it had 4");
    p->f->scenario.n_cells = 4;
    replace(p, "\"compiler\":\"", "\"compiler\":\"another ");
    must_refuse(p, &machine, "the build's compiler is \"");
    replace(p, "\"program_hash\":\"", "\"program_hash\":\"0");
    must_refuse(p, &machine, "the program's hash is \"");
}

static void test_bad_lines_are_named(void **state)
{
    planted *p = *state;
    static const struct {
        const char *from, *to, *why;
    } bad[] = {
        {"{\"dodeca_sweep\":1", "{\"dodeca_sweep\":2", "does not begin as the journal of a sweep"},
        {"{\"begin\":{\"oracle\":true", "{\"step\":{\"oracle\":true", ":2: what a child reports"},
        {"{\"begin\":{\"oracle\":false,\"at\":0", "{\"begin\":{\"oracle\":false,\"at\":4",
         "there is no such cell"},
        {"\"at\":1,\"repeat\":1", "\"at\":1,\"repeat\":0", "has it already"},
        {"\"at\":1,\"repeat\":1", "\"at\":1,\"repeat\":3", "has no such repeat"},
        {"{\"step\":{\"step\":1,", "{\"step\":{\"step\":2,", "step 2 reported where step 1"},
        {"\"outcome\":\"hang\"", "\"outcome\":\"ended\"", "without its final record"},
        {"\"outcome\":\"hang\"", "\"outcome\":\"hung\"", "lacks a value"},
        {"{\"done\":", "{\"done\"", "not JSON"},
        {"{\"done\":", "{\"begin\":", "a run begins within another"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        replace(p, bad[i].from, bad[i].to);
        must_refuse(p, &machine, bad[i].why);
    }
    (void)remove(p->journal);
    must_refuse(p, &machine, "No such file or directory; resumed can be");
    write_file(p->journal, "", 0);
}

/* Any byte, anywhere: refused or read, and nothing worse. */
static void test_garbled(void **state)
{
    planted *p = *state;
    for (size_t at = 0; at < p->bytes; at += 211) {
        dd_journal *j;
        const char was = p->text[at];
        p->text[at] = (char)(was ^ (1 << at % 8));
        write_file(p->journal, p->text, p->bytes);
        p->text[at] = was;
        dd_sweep *sweep = restore(p, &machine, &j);
        if (!sweep)
            continue;
        dd_sweep_close(sweep);
        dd_journal_close(j);
    }
}

static void test_again(void **state)
{
    planted *p = *state;
    dd_journal *j;
    dd_sweep *sweep = restore(p, &machine, &j);
    must(sweep, p->message);
    must(dd_journal_again(j, 1, p->message), p->message);
    dd_sweep_forget(sweep, 1);
    assert_int_equal(sweep->runs_done, 9);
    assert_int_equal(sweep->cells[1].verdict, DD_SKIP);
    assert_int_equal(sweep->cells[0].verdict, DD_PASS);
    dd_sweep_place place = {.at = 1};
    end_run(&sweep->cells[1].repeats[0].run, 2, 777);
    must(dd_journal_add(j, sweep, &place, p->message), p->message);
    dd_sweep_close(sweep);
    dd_journal_close(j);
    sweep = restore(p, &machine, &j);
    must(sweep, p->message);
    assert_int_equal(sweep->runs_done, 10);
    assert_int_equal(sweep->cells[1].repeats[0].run.steps[1].wall_ns, 776);
    assert_int_equal(sweep->cells[1].repeats[1].run.outcome, DD_RUN_NOT_RUN);
    dd_sweep_close(sweep);
    dd_journal_close(j);
}

/* A second program waits for nobody: it is told. */
static void test_one_writer(void **state)
{
    planted *p = *state;
    dd_journal *j;
    must(dd_journal_open(folder, &j, p->message), p->message);
    const pid_t other = fork();
    if (other == 0) {
        dd_journal *second;
        const bool opened = dd_journal_open(folder, &second, p->message);
        _exit(opened || !strstr(p->message, "another dodeca is writing there"));
    }
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
    dd_journal_close(j);
}

/* ---- Two at once ---- */

static void (*meanwhile)(planted *p); /* what another does as soon as a folder is made */
static planted *meanwhile_with;

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    const int made = __real_mkdir(path, mode);
    void (*act)(planted * p) = meanwhile;
    if (made == 0 && act) {
        meanwhile = NULL;
        act(meanwhile_with);
    }
    return made;
}

static bool begin(planted *p, bool replace, dd_sweep_job *job)
{
    *job = (dd_sweep_job){.scenario = &p->f->scenario, .sweep = p->f->sweep};
    const bool good = dd_sweep_job_begin(job, file_named("new"), replace, sets, 2, p->message);
    if (!good) {
        dd_journal_close(job->journal);
        job->journal = NULL;
    }
    return good;
}

static int other_lives = -1; /* closed: it may go */

/* Another process begins a sweep in the folder, and stays there for as long as it is told. */
static void another_begins(planted *p)
{
    int begun[2], lives[2];
    char byte;
    assert_true(pipe(begun) == 0 && pipe(lives) == 0);
    if (fork() == 0) {
        dd_sweep_job job;
        close(lives[1]);
        if (begin(p, false, &job))
            (void)!write(begun[1], "y", 1);
        (void)!read(lives[0], &byte, 1);
        _exit(0);
    }
    close(lives[0]);
    close(begun[1]);
    assert_int_equal(read(begun[0], &byte, 1), 1);
    close(begun[0]);
    other_lives = lives[1];
}

static void another_is_gone(void)
{
    close(other_lives);
    assert_true(wait(NULL) > 0);
}

static void another_comes_and_goes(planted *p)
{
    another_begins(p);
    another_is_gone();
}

/* The files of one that has begun, whole, in folder/new. */
static void check_begun(void)
{
    static const char *const names[] = {"new/run.json", "new/speedup.json", "new/" DD_JOURNAL_NAME};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat is;
        if (lstat(file_named(names[i]), &is) != 0 || !S_ISREG(is.st_mode) || is.st_size == 0)
            fail_msg("%s is not there", names[i]);
    }
}

static void test_loser_removes_nothing(void **state)
{
    planted *p = *state;
    dd_sweep_job job;
    meanwhile_with = p;
    free(p->f->sweep->cells[3].repeats[0].run.log); /* no sweep has a log when it begins */
    p->f->sweep->cells[3].repeats[0].run.log = NULL;
    meanwhile = another_begins;
    assert_false(begin(p, false, &job));
    assert_non_null(strstr(p->message, "another dodeca is writing there"));
    check_begun();
    assert_false(begin(p, true, &job));
    assert_non_null(strstr(p->message, "another dodeca is writing there"));
    check_begun();
    another_is_gone();
    empty_folder();
    put_file("a.yaml", "steps: 5\n");
    meanwhile = another_comes_and_goes;
    assert_false(begin(p, false, &job));
    assert_non_null(strstr(p->message, "new holds results already, run.json"));
    check_begun();
    /* a page that is being made there is not taken away, nor what it is made of */
    dd_page_files page;
    assert_true(dd_page_files_open(&page, file_named("new"), p->message, sizeof p->message));
    dd_page_files_begin(&page);
    put_file("new/plots.tmp/a.svg", "");
    put_file("new/run.json", "old");
    assert_false(begin(p, true, &job));
    assert_non_null(strstr(p->message, "another dodeca is making a page there"));
    check_begun();
    assert_int_equal(access(file_named("new/plots.tmp/a.svg"), F_OK), 0);
    char *text = read_file(file_named("new/run.json"), NULL);
    assert_string_equal(text, "old");
    free(text);
    dd_page_files_close(&page);
    must(begin(p, true, &job), p->message);
    dd_journal_close(job.journal);
    check_begun();
    empty_folder();
}

/* It makes way for a file, and what it leads to is as it was. */
static void test_links(void **state)
{
    planted *p = *state;
    dd_journal *j;
    put_file("elsewhere", "a user's");
    assert_int_equal(remove(p->journal), 0);
    assert_int_equal(symlink("elsewhere", p->journal), 0);
    assert_false(dd_journal_open(folder, &j, p->message));
    assert_non_null(strstr(p->message, DD_JOURNAL_NAME ": is a symbolic link"));
    must(dd_journal_take(folder, &j, p->message), p->message);
    must(dd_journal_begin(j, p->f->sweep, sets, 2, &machine, p->message), p->message);
    dd_journal_close(j);
    char *text = read_file(file_named("elsewhere"), NULL);
    assert_string_equal(text, "a user's");
    free(text);
    must(dd_journal_open(folder, &j, p->message), p->message);
    dd_journal_close(j);
    assert_int_equal(remove(p->journal), 0);
    assert_int_equal(mkfifo(p->journal, 0600), 0);
    assert_false(dd_journal_open(folder, &j, p->message));
    assert_non_null(strstr(p->message, "is no regular file"));
    assert_int_equal(remove(file_named("elsewhere")), 0);
}

static void test_full_disk(void **state)
{
    planted *p = *state;
    dd_journal *j;
    dd_sweep *sweep = restore(p, &machine, &j);
    must(sweep, p->message);
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0 && dup2(full, j->fd) == j->fd && close(full) == 0);
    dd_sweep_place place = {.at = 0};
    assert_false(dd_journal_add(j, p->f->sweep, &place, p->message));
    assert_non_null(strstr(p->message, "No space left on device"));
    assert_false(dd_journal_again(j, 0, p->message));
    assert_non_null(strstr(p->message, "nothing is added after a failure"));
    dd_sweep_close(sweep);
    dd_journal_close(j);
}

int main(void)
{
#define PLANTED(test) cmocka_unit_test_setup_teardown(test, plant, uproot)
    const struct CMUnitTest tests[] = {
        PLANTED(test_read_back),
        PLANTED(test_cut_anywhere),
        PLANTED(test_what_differs_is_named),
        PLANTED(test_bad_lines_are_named),
        PLANTED(test_garbled),
        PLANTED(test_again),
        PLANTED(test_one_writer),
        PLANTED(test_loser_removes_nothing),
        PLANTED(test_links),
        PLANTED(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
