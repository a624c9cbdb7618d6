#include "server/cli/list_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/names/names_source.h"
#include "server/names/watch.h"
#include "server/support/log.h"

/* "in 42 s" moves on. */
#define LIST_WATCH_SCREEN_MS 1000
/* The wall clock may be set, so no sleep until an expiry is longer than this. */
#define LIST_WATCH_SLEEP_MAX_S 30
/* Longer than a tick of the clock that stamps files: a file that was caught in the middle of a
 * change is complete then, or told by another event. */
#define LIST_WATCH_SETTLE_MS 15

#define LIST_WATCH_HOME      "\033[H"
#define LIST_WATCH_LINE_END  "\033[K\n"
#define LIST_WATCH_CLEAR_END "\033[J"

enum {
	LIST_WATCH_INTERRUPT,
	LIST_WATCH_TERMINATE,
	LIST_WATCH_RESIZE,
	LIST_WATCH_CONTINUE,
	LIST_WATCH_SIGNALS,
};

static const int list_watch_signals[LIST_WATCH_SIGNALS] = {
	[LIST_WATCH_INTERRUPT] = SIGINT,
	[LIST_WATCH_TERMINATE] = SIGTERM,
	[LIST_WATCH_RESIZE] = SIGWINCH,
	[LIST_WATCH_CONTINUE] = SIGCONT,
};

struct list_watch {
	const struct snapshot_conf *conf;
	struct build_report report;
	struct snapshot_sinks sinks;
	struct list_view view;
	struct store *store;
	struct names_source source;
	struct listing shown;
	bool must_gather; /* `shown` is of older files. */
	int64_t gathered_unix_s;
	int64_t next_change_unix_s; /* Of `shown`; 0: never. */
	char *text;                 /* What stands on the screen; NULL: nothing was written yet. */
	uv_loop_t loop;
	uv_timer_t timer;
	uv_signal_t signals[LIST_WATCH_SIGNALS];
	uv_poll_t keyboard;
	struct watch *watch;
	struct termios saved;
	bool has_keys;
	bool must_read; /* The files are to be read again soon. */
	bool is_ending;
	int exit_code;
};

static void list_watch_close(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void list_watch_end(struct list_watch *self, int exit_code)
{
	if (self->is_ending)
		return;
	self->is_ending = true;
	self->exit_code = exit_code;
	watch_stop(self->watch);
	self->watch = NULL;
	list_watch_close((uv_handle_t *)&self->timer);
	for (size_t i = 0; i < LIST_WATCH_SIGNALS; i++)
		list_watch_close((uv_handle_t *)&self->signals[i]);
	if (self->has_keys)
		list_watch_close((uv_handle_t *)&self->keyboard);
}

/* Draws over what is there, line by line: clearing everything first would flicker. */
static char *list_watch_screen(const char *text)
{
	char *screen = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&screen, &len);

	if (!out)
		return NULL;
	fputs(LIST_WATCH_HOME, out);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		fwrite(line, 1, strcspn(line, "\n"), out);
		fputs(LIST_WATCH_LINE_END, out);
	}
	fputs(LIST_WATCH_CLEAR_END, out);
	if (fclose(out) != 0) {
		free(screen);
		return NULL;
	}
	return screen;
}

/* Takes `text`. False if it could not be written. */
static bool list_watch_write(struct list_watch *self, char *text)
{
	bool is_first = !self->text;
	bool fine;
	char *screen;

	if (!self->view.is_screen) {
		bool is_table = self->view.form == LIST_FORM_TABLE;

		fine = (is_first || !is_table || cmd_print("\n")) && cmd_print(text);
	} else {
		screen = list_watch_screen(text);
		fine = screen && cmd_print(screen);
		free(screen);
	}
	free(self->text);
	self->text = text;
	return fine;
}

/* Gathers anew if time or files may have made it another listing. A clock that was set back brings
 * ended leases back. */
static enum parser_status list_watch_gather(
	struct list_watch *self, int64_t now_unix_s, bool *out_changed)
{
	bool has_ended = self->next_change_unix_s != 0 && now_unix_s >= self->next_change_unix_s;
	struct listing fresh = {0};
	enum parser_status status;

	if (!self->must_gather && !has_ended && now_unix_s >= self->gathered_unix_s) {
		*out_changed = false;
		return PARSER_OK;
	}
	status = listing_gather(
		&fresh, &self->source.index, &self->source.meta, self->view.scope, now_unix_s);
	if (status != PARSER_OK) {
		listing_done(&fresh);
		return status;
	}
	*out_changed = !listing_same(&self->shown, &fresh);
	listing_done(&self->shown);
	self->shown = fresh;
	self->must_gather = false;
	self->gathered_unix_s = now_unix_s;
	self->next_change_unix_s = listing_next_change(&fresh, now_unix_s);
	return PARSER_OK;
}

static char *list_watch_render(struct list_watch *self, int64_t now_unix_s)
{
	char *text;

	if (self->shown.count > 0 || self->view.form != LIST_FORM_TABLE)
		return list_view_render(&self->view, &self->shown, &self->source.meta, now_unix_s);
	if (asprintf(&text, "no virtual machine has a name yet (%s)\n", self->source.origin) < 0)
		return NULL;
	return text;
}

/* Until something may change by itself: a lease ends, or on a screen the time that is left. */
static void list_watch_sleep(struct list_watch *self, int64_t now_unix_s);

/* Writes what is true now, if it is not what was written last.
 * @return PARSER_OK, or why that cannot be found out; `out_written` false if nobody takes it. */
static enum parser_status list_watch_update(
	struct list_watch *self, int64_t now_unix_s, bool *out_written)
{
	bool changed;
	char *text;
	enum parser_status status = list_watch_gather(self, now_unix_s, &changed);

	*out_written = true;
	if (status != PARSER_OK || (self->text && !changed && !self->view.is_screen))
		return status;
	text = list_watch_render(self, now_unix_s);
	if (!text)
		return PARSER_E_NO_MEMORY;
	if (self->text && self->view.is_screen && strcmp(self->text, text) == 0)
		free(text);
	else
		*out_written = list_watch_write(self, text);
	return PARSER_OK;
}

static void list_watch_show(struct list_watch *self)
{
	int64_t now_unix_s = cmd_now_unix_s();
	bool written;
	enum parser_status status = list_watch_update(self, now_unix_s, &written);

	if (status != PARSER_OK)
		cmd_complain("cannot list names", status);
	if (status != PARSER_OK || !written)
		list_watch_end(self, CMD_EXIT_FAILED);
	list_watch_sleep(self, now_unix_s);
}

static void list_watch_read(struct list_watch *self)
{
	struct names_source fresh;
	enum parser_status status =
		names_source_build(self->conf, self->store, &self->sinks, &fresh);

	cmd_report(&self->report);
	if (status != PARSER_OK) {
		cmd_complain("cannot read the lease files", status);
		list_watch_end(self, CMD_EXIT_FAILED);
		return;
	}
	names_source_done(&self->source);
	self->source = fresh;
	self->must_gather = true;
	self->must_read = store_is_unsettled(self->store);
	list_watch_show(self);
}

static void list_watch_on_timer(uv_timer_t *timer)
{
	struct list_watch *self = timer->data;

	if (self->must_read)
		list_watch_read(self);
	else
		list_watch_show(self);
}

static void list_watch_sleep(struct list_watch *self, int64_t now_unix_s)
{
	int64_t next_unix_s = self->next_change_unix_s;
	int64_t left_s = LIST_WATCH_SLEEP_MAX_S;
	uint64_t timeout_ms;

	if (self->is_ending)
		return;
	if (next_unix_s != 0 && next_unix_s - now_unix_s < left_s)
		left_s = next_unix_s - now_unix_s;
	timeout_ms = (uint64_t)left_s * 1000;
	if (self->view.is_screen)
		timeout_ms = LIST_WATCH_SCREEN_MS;
	if (self->must_read)
		timeout_ms = LIST_WATCH_SETTLE_MS;
	uv_timer_start(&self->timer, list_watch_on_timer, timeout_ms, 0);
}

static void list_watch_on_change(void *ctx)
{
	list_watch_read(ctx);
}

static void list_watch_on_key(uv_poll_t *poll, int status, int events)
{
	struct list_watch *self = poll->data;
	char keys[64];
	ssize_t got;

	(void)events;
	got = status < 0 ? -1 : read(STDIN_FILENO, keys, sizeof(keys));
	if (got < 0 && (errno == EAGAIN || errno == EINTR) && status == 0)
		return;
	if (got <= 0) {
		list_watch_end(self, CMD_EXIT_OK); /* The terminal is gone. */
		return;
	}
	if (memchr(keys, 'q', (size_t)got) || memchr(keys, 'Q', (size_t)got))
		list_watch_end(self, CMD_EXIT_OK);
}

/* Once at the start, and whenever we come back from the shell's background. */
static void list_watch_take_keys(struct list_watch *self)
{
	struct termios again;
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	int rc;

	if (!self->view.is_screen || flags < 0 ||
		!terminal_take_keys(STDIN_FILENO, self->has_keys ? &again : &self->saved) ||
		self->has_keys)
		return;
	rc = uv_poll_init(&self->loop, &self->keyboard, STDIN_FILENO);
	/* libuv made it non-blocking, and with it our output and the shell that share the open
	 * terminal. Keys are read only when there are some. */
	fcntl(STDIN_FILENO, F_SETFL, flags);
	if (rc != 0) {
		terminal_restore(STDIN_FILENO, &self->saved);
		return;
	}
	self->has_keys = true;
	self->keyboard.data = self;
	uv_poll_start(&self->keyboard, UV_READABLE, list_watch_on_key);
}

static void list_watch_on_signal(uv_signal_t *signal, int number)
{
	struct list_watch *self = signal->data;

	if (number == SIGINT || number == SIGTERM) {
		list_watch_end(self, CMD_EXIT_OK);
		return;
	}
	if (!self->view.is_screen)
		return;
	if (number == SIGCONT)
		list_watch_take_keys(self);
	/* Another size, or back from the shell: what stood on the screen is gone. */
	terminal_look(STDOUT_FILENO, &self->view.terminal);
	free(self->text);
	self->text = NULL;
	list_watch_show(self);
}

/* @return 0 or a libuv error. All handles are initialised once this was called. */
static int list_watch_start(struct list_watch *self)
{
	int rc = 0;

	uv_timer_init(&self->loop, &self->timer);
	self->timer.data = self;
	for (size_t i = 0; i < LIST_WATCH_SIGNALS; i++) {
		uv_signal_init(&self->loop, &self->signals[i]);
		self->signals[i].data = self;
	}
	for (size_t i = 0; i < LIST_WATCH_SIGNALS && rc == 0; i++)
		rc = uv_signal_start(
			&self->signals[i], list_watch_on_signal, list_watch_signals[i]);
	if (rc == 0)
		rc = watch_start(&self->loop,
			(const char *const *)self->conf->conf.lease_directories,
			self->conf->conf.lease_directory_count, list_watch_on_change, self,
			&self->watch);
	if (rc == 0)
		list_watch_take_keys(self);
	return rc;
}

int list_watch_run(const struct snapshot_conf *conf, const struct list_view *view)
{
	struct list_watch self = {.conf = conf, .view = *view, .source = {.fd = -1}};
	int rc = uv_loop_init(&self.loop);

	if (rc != 0) {
		log_error("cannot watch: %s", uv_strerror(rc));
		return CMD_EXIT_FAILED;
	}
	/* Messages would stand in the middle of the screen. */
	if (!view->is_screen || !isatty(STDERR_FILENO))
		self.sinks = (struct snapshot_sinks){
			.store_event = build_report_store_event, .ctx = &self.report};
	self.store = snapshot_store_new(conf);
	rc = self.store ? list_watch_start(&self) : UV_ENOMEM;
	if (rc == 0) {
		/* Only what changes from here on is told, so the first reading comes after. */
		list_watch_read(&self);
	} else {
		log_error("cannot watch: %s", uv_strerror(rc));
		if (self.store)
			list_watch_end(&self, CMD_EXIT_FAILED);
		self.exit_code = CMD_EXIT_FAILED;
	}
	uv_run(&self.loop, UV_RUN_DEFAULT);
	if (self.has_keys)
		terminal_restore(STDIN_FILENO, &self.saved);
	uv_loop_close(&self.loop);
	names_source_done(&self.source);
	listing_done(&self.shown);
	store_free(self.store);
	free(self.text);
	return self.exit_code;
}
