/* See peer.h. */
#include "peer.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS_MAX 1000

struct events {
  int count;
  int taken;
  char list[EVENTS_MAX][128];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char why[2048];
static int count;

struct events *events_new(void) {
  return calloc(1, sizeof(struct events));
}

static const char *type_name(int type) {
  if (type == ZOO_CREATED_EVENT) return "created";
  if (type == ZOO_DELETED_EVENT) return "deleted";
  if (type == ZOO_CHANGED_EVENT) return "changed";
  if (type == ZOO_CHILD_EVENT) return "children";
  if (type == ZOO_NOTWATCHING_EVENT) return "unwatched";
  return "unknown";
}

void events_watch(zhandle_t *zh, int type, int state, const char *path, void *context) {
  (void)zh;
  struct events *events = context;
  if (events == NULL) return;
  pthread_mutex_lock(&lock);
  if (events->count < EVENTS_MAX) {
    char *slot = events->list[events->count++];
    if (type == ZOO_SESSION_EVENT) snprintf(slot, sizeof events->list[0], "state %d", state);
    else snprintf(slot, sizeof events->list[0], "%s %s", type_name(type), path);
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static struct timespec deadline(void) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_sec += TIMEOUT_S;
  return at;
}

static const char *events_next(struct events *events) {
  struct timespec at = deadline();
  const char *event = NULL;
  pthread_mutex_lock(&lock);
  while (events->taken == events->count && pthread_cond_timedwait(&changed, &lock, &at) == 0) continue;
  if (events->taken < events->count) event = events->list[events->taken++];
  pthread_mutex_unlock(&lock);
  return event;
}

bool events_expect(struct events *events, const char *expected) {
  const char *got = events_next(events);
  if (got != NULL && strcmp(got, expected) == 0) return true;
  return fail("next event: expected <%s>, got <%s>", expected, got == NULL ? "nothing" : got);
}

bool events_await(struct events *events, const char *expected) {
  for (const char *got = events_next(events); got != NULL; got = events_next(events)) {
    if (strcmp(got, expected) == 0) return true;
  }
  return fail("event <%s> never came", expected);
}

void answer_give(const void *data, int rc, const char *format, ...) {
  struct answer *answer = (struct answer *)data;
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&lock);
  answer->rc = rc;
  vsnprintf(answer->text, sizeof answer->text, format, arguments);
  answer->done = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  va_end(arguments);
}

bool answer_expect(struct answer *answer, int rc, const char *text) {
  struct timespec at = deadline();
  pthread_mutex_lock(&lock);
  while (!answer->done && pthread_cond_timedwait(&changed, &lock, &at) == 0) continue;
  bool done = answer->done;
  pthread_mutex_unlock(&lock);
  if (!done) return fail("no answer, expected <%d %s>", rc, text);
  if (answer->rc == rc && strcmp(answer->text, text) == 0) return true;
  return fail("answer: expected <%d %s>, got <%d %s>", rc, text, answer->rc, answer->text);
}

bool fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  return false;
}

void check(const char *name, bool (*body)(void)) {
  printf("begin %s\n", name);
  fflush(stdout);
  why[0] = 0;
  count++;
  if (body()) printf("ok %s\n", name);
  else printf("not ok %s :: %s\n", name, why);
  fflush(stdout);
}

void ask(const char *what) {
  char line[64];
  printf("ask %s\n", what);
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL || strcmp(line, "done\n") != 0) {
    fprintf(stderr, "the runner did not do %s\n", what);
    exit(1);
  }
}

int finish(void) {
  printf("end %d\n", count);
  fflush(stdout);
  return 0;
}
