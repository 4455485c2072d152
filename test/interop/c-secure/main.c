/* The C client over TLS, with certificates that are let in and such that are not, and with a login by SASL DIGEST-MD5. */
#include <errno.h>
#include <sasl/sasl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

#define SESSION_MS 10000
/* For who must stay outside: long enough for several tries. */
#define OUTSIDE_S 2

static const char *plain;
static const char *secure;
static const char *keys;

/* ca, certificate, key and password, as zookeeper_init_ssl wants them. */
static zhandle_t *by_tls(const char *name, struct events *session) {
  char files[2048];
  snprintf(files, sizeof files, "%s/ca.pem,%s/%s.pem,%s/%s.pem,", keys, keys, name, keys, name);
  return zookeeper_init_ssl(secure, files, events_watch, SESSION_MS, NULL, session, 0);
}

static zhandle_t *by_sasl(const char *password, struct events *session) {
  char file[1024];
  snprintf(file, sizeof file, "%s/%s", keys, password);
  zoo_sasl_params_t login = {.service = "zookeeper", .host = "zk-sasl-md5", .mechlist = "DIGEST-MD5"};
  login.callbacks = zoo_sasl_make_basic_callbacks("bob", NULL, file);
  return zookeeper_init_sasl(plain, events_watch, SESSION_MS, NULL, session, 0, NULL, &login);
}

/* The handle is connected within the usual time, and closed behind `body`. */
static bool with(zhandle_t *zh, struct events *session, bool (*body)(zhandle_t *)) {
  EXPECT(zh != NULL, "no handle: errno %d", errno);
  bool held = events_await(session, "state 3") && body(zh);
  zookeeper_close(zh);
  return held;
}

static bool writes_much(zhandle_t *zh) {
  static char data[200000];
  static char seen[sizeof data];
  int length = sizeof seen;
  memset(data, 'x', sizeof data);
  EXPECT_INT(ZOK, zoo_create(zh, "/tls", data, sizeof data, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), "create");
  EXPECT_INT(ZOK, zoo_get(zh, "/tls", 0, seen, &length, NULL), "get");
  EXPECT(length == sizeof data && memcmp(seen, data, sizeof data) == 0, "%d bytes came back", length);
  return true;
}

static bool tls(void) {
  struct events *session = events_new();
  return with(by_tls("member", session), session, writes_much);
}

static bool own_node(zhandle_t *zh) {
  struct ACL entry = {ZOO_PERM_ALL, {"x509", "CN=member"}};
  struct ACL_vector acl = {1, &entry};
  EXPECT_INT(ZOK, zoo_create(zh, "/x509", "", 0, &acl, ZOO_PERSISTENT, NULL, 0), "create");
  EXPECT_INT(ZOK, zoo_set(zh, "/x509", "y", 1, -1), "set");
  return true;
}

static bool x509(void) {
  struct events *session = events_new();
  return with(by_tls("member", session), session, own_node);
}

static bool not_ours(zhandle_t *zh) {
  EXPECT_INT(ZNOAUTH, zoo_set(zh, "/x509", "z", 1, -1), "set");
  return true;
}

static bool other_certificate(void) {
  struct events *session = events_new();
  return with(by_tls("elsewhere", session), session, not_ours);
}

static bool stranger(void) {
  struct events *session = events_new();
  zhandle_t *zh = by_tls("stranger", session);
  EXPECT(zh != NULL, "no handle: errno %d", errno);
  sleep(OUTSIDE_S);
  int state = zoo_state(zh);
  zookeeper_close(zh);
  EXPECT(state != ZOO_CONNECTED_STATE, "it is connected");
  return true;
}

static bool sasl_node(zhandle_t *zh) {
  struct ACL entry = {ZOO_PERM_ALL, {"sasl", "bob"}};
  struct ACL_vector acl = {1, &entry};
  EXPECT_INT(ZOK, zoo_create(zh, "/sasl", "", 0, &acl, ZOO_PERSISTENT, NULL, 0), "create");
  EXPECT_INT(ZOK, zoo_set(zh, "/sasl", "y", 1, -1), "set");
  return true;
}

static bool sasl(void) {
  struct events *session = events_new();
  return with(by_sasl("password", session), session, sasl_node);
}

static bool wrong_password(void) {
  struct events *session = events_new();
  zhandle_t *zh = by_sasl("wrong", session);
  EXPECT(zh != NULL, "no handle: errno %d", errno);
  /* There is no event for it. */
  for (int i = 0; i < 100 * TIMEOUT_S && zoo_state(zh) != ZOO_AUTH_FAILED_STATE; i++) usleep(10000);
  int state = zoo_state(zh);
  zookeeper_close(zh);
  EXPECT_INT(ZOO_AUTH_FAILED_STATE, state, "state");
  return true;
}

int main(void) {
  plain = getenv("ZW_SERVER");
  secure = getenv("ZW_SECURE");
  keys = getenv("ZW_KEYS");
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  sasl_client_init(NULL);
  signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to what the other side has closed */
  check("TLS: works, with data longer than a record", tls);
  check("TLS: its certificate is an x509 id in ACLs", x509);
  check("TLS: another certificate is another id", other_certificate);
  check("TLS: a certificate of an unknown authority stays outside", stranger);
  check("SASL: DIGEST-MD5, and a sasl id in ACLs", sasl);
  check("SASL: a wrong password ends in AUTH_FAILED", wrong_password);
  return finish();
}
