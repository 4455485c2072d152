/* The program's side of the line protocol with the runner, recorded events, and answers of asynchronous calls. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <zookeeper.h>

#define TIMEOUT_S 30

/* A check returns true, or says why not through one of these. */
#define EXPECT(condition, ...)                     \
  do {                                             \
    if (!(condition)) return fail(__VA_ARGS__);    \
  } while (0)
#define EXPECT_INT(expected, got, what) \
  EXPECT((expected) == (got), "%s: expected <%lld>, got <%lld>", what, (long long)(expected), (long long)(got))
#define EXPECT_TEXT(expected, got, what) \
  EXPECT(strcmp(expected, got) == 0, "%s: expected <%s>, got <%s>", what, expected, got)

/* Events in the order they came, as "created /path", or "state 3" for the session's own. */
struct events;
struct events *events_new(void);
void events_watch(zhandle_t *zh, int type, int state, const char *path, void *context);
bool events_expect(struct events *events, const char *expected);
/* Skips what comes before. */
bool events_await(struct events *events, const char *expected);

/* The one answer of an asynchronous call. */
struct answer {
  bool done;
  int rc;
  char text[512];
};
void answer_give(const void *data, int rc, const char *format, ...);
bool answer_expect(struct answer *answer, int rc, const char *text);

bool fail(const char *format, ...);
void check(const char *name, bool (*body)(void));
void ask(const char *what);
int finish(void);

#endif
