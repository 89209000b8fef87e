/*
 * A victim: a program that sets up one kind of state, waits, and then tells whether the state is
 * still what it was.  Run as `fidelity DIR ROW`:
 *
 *   DIR/ROW.ready   appears, with the pid in it, when the state is there
 *   DIR/ROW.ask     a fifo that takes requests of one byte: `c` check, `t` tamper with the state
 *   DIR/ROW.said    appears after each request: `ok` or `FAIL: sentence`
 *
 * Beside its own state every victim checks that its identity, its signal mask and its descriptors
 * are unchanged, and that nothing interrupted its wait for the request.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

struct victim {
	const char *name;
	void (*set_up)(void);
	void (*check)(void);
	void (*tamper)(void); /* changes the state so that check() must say so */
	struct victim *next;
};

/* Everything that the test module knows of a row it reads from lines like this one. */
#define VICTIM(id, row, set_up, check, tamper)                                                     \
	static struct victim victim_##id = {row, set_up, check, tamper, NULL};                     \
	__attribute__((constructor)) static void enrol_##id(void)                                  \
	{                                                                                          \
		enrol(&victim_##id);                                                               \
	}                                                                                          \
	struct victim /* takes the semicolon */

void enrol(struct victim *victim);

/* Keep the first sentence; errno is added when it is not 0. */
__attribute__((format(printf, 1, 2))) void fail(const char *format, ...);

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fail(__VA_ARGS__);                                                         \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* In set-up and in helpers: what must work, else the victim ends and says so. */
#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			give_up(__FILE__, __LINE__, #condition);                                   \
	} while (0)

_Noreturn void give_up(const char *file, int line, const char *what);

/* DIR/ROW.suffix, in a buffer of its own. */
char *path_of(const char *suffix);

/* A child process that answers each byte it is sent by serve(byte), until its parent ends. */
struct helper {
	pid_t pid;
	int ask, tell;
};
struct helper spawn(char (*serve)(char request));
char request(struct helper *helper, char byte); /* -1: no answer */

/* Seconds of CLOCK_MONOTONIC. */
double now(void);

/*
 * Longest time between two looks at the clock by a thread that `watch_gaps` starts: at least as
 * long as the process stood still.
 */
void watch_gaps(void);
double longest_gap(void);

/* Sleep at least this long, whatever interrupts. */
void pause_ms(int ms);

/* Milliseconds to wait for what must happen: more than a machine under load needs. */
enum { PATIENCE = 10000 };

/* Whether a descriptor has something to read, or to tell, within `ms`. */
bool readable(int fd, int ms);

#endif
