/*
 * The C client (threaded build): blocking and asynchronous calls, watches and their removal, multi, ACLs, sessions.
 * Version 3.8 has no persistent watches and no call for whoami, getEphemerals or the number of descendants.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define SESSION_MS 30000
#define OPEN &ZOO_OPEN_ACL_UNSAFE

static const char *server;
static const char *relay;
static zhandle_t *zh;

static zhandle_t *connect_to(const char *address, int timeout_ms, const clientid_t *id, struct events *session) {
  return zookeeper_init(address, events_watch, timeout_ms, id, session, ZOO_NO_LOG_CLIENTENV);
}

/* A handle that is connected, or NULL with the reason noted. */
static zhandle_t *connected(const char *address, struct events *session) {
  zhandle_t *handle = connect_to(address, SESSION_MS, NULL, session);
  if (handle == NULL) {
    fail("zookeeper_init: errno %d", errno);
    return NULL;
  }
  return events_await(session, "state 3") ? handle : NULL;
}

static int make(zhandle_t *handle, const char *path, const char *data) {
  return zoo_create(handle, path, data, (int)strlen(data), OPEN, ZOO_PERSISTENT, NULL, 0);
}

static bool crud(void) {
  char buffer[100];
  int length = sizeof buffer;
  struct Stat stat, seen;
  char path[64];
  EXPECT_INT(ZOK, zoo_create(zh, "/c/crud", "data", 4, OPEN, ZOO_PERSISTENT, path, sizeof path), "create");
  EXPECT_TEXT("/c/crud", path, "path");
  EXPECT_INT(ZNODEEXISTS, make(zh, "/c/crud", ""), "create again");
  EXPECT_INT(ZNONODE, make(zh, "/c/none/child", ""), "create below nothing");
  EXPECT_INT(ZOK, zoo_get(zh, "/c/crud", 0, buffer, &length, &stat), "get");
  EXPECT(length == 4 && memcmp(buffer, "data", 4) == 0, "data: expected <data>, got <%.*s>", length, buffer);
  EXPECT(stat.czxid == stat.mzxid && stat.czxid == stat.pzxid && stat.version == 0, "the stat of a new node");
  EXPECT_INT(ZOK, zoo_set2(zh, "/c/crud", "longer", 6, 0, &seen), "set2");
  EXPECT_INT(1, seen.version, "version");
  EXPECT_INT(6, seen.dataLength, "dataLength");
  EXPECT(seen.mzxid > stat.mzxid, "mzxid grows");
  EXPECT_INT(ZBADVERSION, zoo_set(zh, "/c/crud", "x", 1, 0), "set of an old version");
  EXPECT_INT(ZNONODE, zoo_exists(zh, "/c/none", 0, &stat), "exists of nothing");
  EXPECT_INT(ZOK, zoo_exists(zh, "/c/crud", 0, &stat), "exists");
  EXPECT(memcmp(&stat.czxid, &seen.czxid, sizeof stat.czxid) == 0 && stat.version == 1, "the stat of exists");
  EXPECT_INT(ZBADVERSION, zoo_delete(zh, "/c/crud", 0), "delete of an old version");
  EXPECT_INT(ZOK, make(zh, "/c/crud/child", ""), "child");
  EXPECT_INT(ZNOTEMPTY, zoo_delete(zh, "/c/crud", -1), "delete with a child");
  EXPECT_INT(ZOK, zoo_delete(zh, "/c/crud/child", 0), "delete the child");
  EXPECT_INT(ZOK, zoo_delete(zh, "/c/crud", 1), "delete");
  EXPECT_INT(ZNONODE, zoo_delete(zh, "/c/crud", -1), "delete again");
  return true;
}

static bool null_data(void) {
  char buffer[10];
  int length = sizeof buffer;
  EXPECT_INT(ZOK, zoo_create(zh, "/c/null", NULL, -1, OPEN, ZOO_PERSISTENT, NULL, 0), "create");
  EXPECT_INT(ZOK, zoo_get(zh, "/c/null", 0, buffer, &length, NULL), "get");
  EXPECT_INT(-1, length, "length of null");
  EXPECT_INT(ZOK, zoo_set(zh, "/c/null", "", 0, -1), "set");
  length = sizeof buffer;
  EXPECT_INT(ZOK, zoo_get(zh, "/c/null", 0, buffer, &length, NULL), "get");
  EXPECT_INT(0, length, "length of empty");
  return true;
}

static bool modes(void) {
  const int list[] = {ZOO_PERSISTENT, ZOO_EPHEMERAL, ZOO_PERSISTENT_SEQUENTIAL, ZOO_EPHEMERAL_SEQUENTIAL, ZOO_CONTAINER,
                      ZOO_PERSISTENT_WITH_TTL, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL};
  EXPECT_INT(ZOK, make(zh, "/c/modes", ""), "parent");
  for (int i = 0; i < 7; i++) {
    char asked[64], expected[64], got[64];
    struct Stat stat;
    bool ttl = list[i] == ZOO_PERSISTENT_WITH_TTL || list[i] == ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL;
    bool sequential = list[i] == ZOO_PERSISTENT_SEQUENTIAL || list[i] == ZOO_EPHEMERAL_SEQUENTIAL ||
                      list[i] == ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL;
    bool ephemeral = list[i] == ZOO_EPHEMERAL || list[i] == ZOO_EPHEMERAL_SEQUENTIAL;
    snprintf(asked, sizeof asked, "/c/modes/m%d-", i);
    snprintf(expected, sizeof expected, sequential ? "/c/modes/m%d-%010d" : "/c/modes/m%d-", i, i);
    int rc = ttl ? zoo_create2_ttl(zh, asked, "x", 1, OPEN, list[i], 3600000, got, sizeof got, &stat)
                 : zoo_create2(zh, asked, "x", 1, OPEN, list[i], got, sizeof got, &stat);
    EXPECT_INT(ZOK, rc, asked);
    EXPECT_TEXT(expected, got, "path");
    EXPECT_INT(ephemeral ? zoo_client_id(zh)->client_id : 0, stat.ephemeralOwner, "ephemeralOwner");
    EXPECT_INT(1, stat.dataLength, "dataLength");
  }
  EXPECT_INT(ZNOCHILDRENFOREPHEMERALS, make(zh, "/c/modes/m1-/child", ""), "child of an ephemeral node");
  EXPECT_INT(ZOK, zoo_create_ttl(zh, "/c/modes/ttl", "", 0, OPEN, ZOO_PERSISTENT_WITH_TTL, 1000000, NULL, 0), "ttl");
  return true;
}

static bool children(void) {
  struct String_vector names;
  struct Stat stat;
  EXPECT_INT(ZOK, make(zh, "/c/kids", ""), "parent");
  EXPECT_INT(ZOK, zoo_get_children(zh, "/c/kids", 0, &names), "getChildren of none");
  EXPECT_INT(0, names.count, "count");
  EXPECT_INT(ZOK, make(zh, "/c/kids/a", ""), "a");
  EXPECT_INT(ZOK, make(zh, "/c/kids/b", ""), "b");
  EXPECT_INT(ZOK, zoo_get_children2(zh, "/c/kids", 0, &names, &stat), "getChildren2");
  EXPECT_INT(2, names.count, "count");
  EXPECT(strcmp(names.data[0], "a") == 0 || strcmp(names.data[1], "a") == 0, "a among the children");
  EXPECT_INT(2, stat.numChildren, "numChildren");
  EXPECT_INT(2, stat.cversion, "cversion");
  deallocate_String_vector(&names);
  EXPECT_INT(ZNONODE, zoo_get_children(zh, "/c/none", 0, &names), "getChildren of nothing");
  return true;
}

static bool config_node(void) {
  char buffer[1000];
  int length = sizeof buffer;
  struct Stat stat;
  EXPECT_INT(ZOK, zoo_getconfig(zh, 0, buffer, &length, &stat), "getconfig");
  EXPECT_INT(0, length, "length of a single server's configuration");
  EXPECT_INT(ZRECONFIGDISABLED, zoo_reconfig(zh, NULL, NULL, "server.1=a:1:2;3", -1, buffer, &length, &stat), "reconfig");
  return true;
}

static bool large_data(void) {
  int size = 1000000, length = size + 10;
  char *data = malloc(size), *back = malloc(length);
  for (int i = 0; i < size; i++) data[i] = (char)(i * 31 + i / 997);
  EXPECT_INT(ZOK, zoo_create(zh, "/c/large", data, size, OPEN, ZOO_PERSISTENT, NULL, 0), "create");
  EXPECT_INT(ZOK, zoo_get(zh, "/c/large", 0, back, &length, NULL), "get");
  EXPECT_INT(size, length, "length");
  EXPECT(memcmp(data, back, size) == 0, "the same bytes");
  free(data);
  free(back);
  return true;
}

static void on_void(int rc, const void *data) { answer_give(data, rc, "void"); }
static void on_string(int rc, const char *value, const void *data) { answer_give(data, rc, "%s", value ? value : "-"); }
static void on_stat(int rc, const struct Stat *stat, const void *data) {
  answer_give(data, rc, "v%d", stat ? stat->version : -1);
}
static void on_data(int rc, const char *value, int length, const struct Stat *stat, const void *data) {
  answer_give(data, rc, "%.*s v%d", length > 0 ? length : 0, value ? value : "", stat ? stat->version : -1);
}
static void on_strings(int rc, const struct String_vector *names, const void *data) {
  answer_give(data, rc, "%d %s", names ? names->count : -1, names && names->count > 0 ? names->data[0] : "-");
}
static void on_strings_stat(int rc, const struct String_vector *names, const struct Stat *stat, const void *data) {
  answer_give(data, rc, "%d v%d", names ? names->count : -1, stat ? stat->cversion : -1);
}
static void on_string_stat(int rc, const char *value, const struct Stat *stat, const void *data) {
  answer_give(data, rc, "%s v%d", value ? value : "-", stat ? stat->version : -1);
}
static void on_acl(int rc, struct ACL_vector *acl, struct Stat *stat, const void *data) {
  answer_give(data, rc, "%d %s v%d", acl->count, acl->data[0].id.scheme, stat->aversion);
}

static bool asynchronous(void) {
  struct answer a[16];
  memset(a, 0, sizeof a);
  int i = 0;
  /* All are sent before any answer is looked at, so each sees what those before it did. */
  zoo_acreate(zh, "/c/async", "one", 3, OPEN, ZOO_PERSISTENT, on_string, &a[i++]);
  zoo_acreate2(zh, "/c/async/kid", "", 0, OPEN, ZOO_PERSISTENT, on_string_stat, &a[i++]);
  zoo_acreate2_ttl(zh, "/c/async/ttl", "", 0, OPEN, ZOO_PERSISTENT_WITH_TTL, 1000000, on_string_stat, &a[i++]);
  zoo_aexists(zh, "/c/async", 0, on_stat, &a[i++]);
  zoo_aset(zh, "/c/async", "two", 3, 0, on_stat, &a[i++]);
  zoo_aget(zh, "/c/async", 0, on_data, &a[i++]);
  zoo_adelete(zh, "/c/async/ttl", -1, on_void, &a[i++]);
  zoo_aget_children(zh, "/c/async", 0, on_strings, &a[i++]);
  zoo_aget_children2(zh, "/c/async", 0, on_strings_stat, &a[i++]);
  zoo_aget_acl(zh, "/c/async", on_acl, &a[i++]);
  zoo_aset_acl(zh, "/c/async", 0, OPEN, on_void, &a[i++]);
  zoo_async(zh, "/c/async", on_string, &a[i++]);
  zoo_adelete(zh, "/c/async", -1, on_void, &a[i++]);
  zoo_aget(zh, "/c/none", 0, on_data, &a[i++]);
  return answer_expect(&a[0], ZOK, "/c/async") && answer_expect(&a[1], ZOK, "/c/async/kid v0") &&
         answer_expect(&a[2], ZOK, "/c/async/ttl v0") && answer_expect(&a[3], ZOK, "v0") &&
         answer_expect(&a[4], ZOK, "v1") && answer_expect(&a[5], ZOK, "two v1") && answer_expect(&a[6], ZOK, "void") &&
         answer_expect(&a[7], ZOK, "1 kid") && answer_expect(&a[8], ZOK, "1 v3") &&
         answer_expect(&a[9], ZOK, "1 world v0") && answer_expect(&a[10], ZOK, "void") &&
         answer_expect(&a[11], ZOK, "/c/async") && answer_expect(&a[12], ZNOTEMPTY, "void") &&
         answer_expect(&a[13], ZNONODE, " v-1");
}

static bool watches(void) {
  struct events *e = events_new();
  struct Stat stat;
  struct String_vector names;
  char buffer[10];
  int length = sizeof buffer;
  EXPECT_INT(ZNONODE, zoo_wexists(zh, "/c/w", events_watch, e, &stat), "wexists");
  EXPECT_INT(ZOK, make(zh, "/c/w", ""), "create");
  EXPECT(events_expect(e, "created /c/w"), "%s", "created /c/w did not come");
  EXPECT_INT(ZOK, zoo_wget(zh, "/c/w", events_watch, e, buffer, &length, &stat), "wget");
  EXPECT_INT(ZOK, make(zh, "/c/w/a", ""), "child");
  EXPECT_INT(ZOK, zoo_set(zh, "/c/w", "x", 1, -1), "set");
  if (!events_expect(e, "changed /c/w")) return false;
  EXPECT_INT(ZOK, zoo_wget_children(zh, "/c/w", events_watch, e, &names), "wget_children");
  deallocate_String_vector(&names);
  EXPECT_INT(ZOK, zoo_set(zh, "/c/w", "y", 1, -1), "set");
  EXPECT_INT(ZOK, make(zh, "/c/w/b", ""), "child");
  if (!events_expect(e, "children /c/w")) return false;
  EXPECT_INT(ZOK, zoo_delete(zh, "/c/w/a", -1), "delete a");
  EXPECT_INT(ZOK, zoo_delete(zh, "/c/w/b", -1), "delete b");
  EXPECT_INT(ZOK, zoo_wget_children2(zh, "/c/w", events_watch, e, &names, &stat), "wget_children2");
  deallocate_String_vector(&names);
  EXPECT_INT(ZOK, zoo_delete(zh, "/c/w", -1), "delete");
  return events_expect(e, "deleted /c/w");
}

static bool removal(void) {
  struct events *e = events_new();
  struct Stat stat;
  struct String_vector names;
  struct answer asynchronously = {0};
  EXPECT_INT(ZOK, make(zh, "/c/rm", ""), "create");
  EXPECT_INT(ZNOWATCHER, zoo_remove_watches(zh, "/c/rm", ZWATCHTYPE_DATA, events_watch, e, 0), "remove of none");
  EXPECT_INT(ZOK, zoo_wexists(zh, "/c/rm", events_watch, e, &stat), "wexists");
  EXPECT_INT(ZOK, zoo_remove_watches(zh, "/c/rm", ZWATCHTYPE_DATA, events_watch, e, 0), "remove data");
  EXPECT_INT(ZOK, zoo_wget_children(zh, "/c/rm", events_watch, e, &names), "wget_children");
  EXPECT_INT(ZOK, zoo_remove_all_watches(zh, "/c/rm", ZWATCHTYPE_CHILD, 0), "remove all child watches");
  EXPECT_INT(ZOK, zoo_wexists(zh, "/c/rm", events_watch, e, &stat), "wexists");
  /* The header says pointer to callback, the library takes the callback. */
  EXPECT_INT(ZOK, zoo_aremove_all_watches(zh, "/c/rm", ZWATCHTYPE_ANY, 0, (void_completion_t *)on_void, &asynchronously),
             "asynchronous removal");
  if (!answer_expect(&asynchronously, ZOK, "void")) return false;
  EXPECT_INT(ZOK, zoo_set(zh, "/c/rm", "x", 1, -1), "set");
  EXPECT_INT(ZOK, make(zh, "/c/rm/a", ""), "child");
  /* Nothing came of the removed watches: an event caused now is the next. */
  EXPECT_INT(ZOK, zoo_wexists(zh, "/c/rm/a", events_watch, e, &stat), "wexists of the child");
  EXPECT_INT(ZOK, zoo_delete(zh, "/c/rm/a", -1), "delete the child");
  return events_expect(e, "deleted /c/rm/a");
}

static bool multi_ok(void) {
  char path[64];
  struct Stat stat;
  zoo_op_t ops[5];
  zoo_op_result_t results[5];
  zoo_create_op_init(&ops[0], "/c/multi", "", 0, OPEN, ZOO_PERSISTENT, NULL, 0);
  zoo_create_op_init(&ops[1], "/c/multi/s-", "", 0, OPEN, ZOO_PERSISTENT_SEQUENTIAL, path, sizeof path);
  zoo_set_op_init(&ops[2], "/c/multi", "set", 3, 0, &stat);
  zoo_check_op_init(&ops[3], "/c/multi", 1);
  zoo_delete_op_init(&ops[4], "/c/multi/s-0000000000", 0);
  EXPECT_INT(ZOK, zoo_multi(zh, 5, ops, results), "multi");
  for (int i = 0; i < 5; i++) EXPECT_INT(ZOK, results[i].err, "part");
  EXPECT_TEXT("/c/multi/s-0000000000", path, "path");
  EXPECT_INT(1, stat.version, "version");
  EXPECT_INT(1, stat.numChildren, "numChildren at that point");
  EXPECT_INT(ZOK, zoo_exists(zh, "/c/multi", 0, &stat), "exists");
  EXPECT_INT(0, stat.numChildren, "numChildren");
  return true;
}

static bool multi_fails(void) {
  struct answer a = {0};
  struct Stat stat;
  zoo_op_t ops[3];
  zoo_op_result_t results[3];
  EXPECT_INT(ZOK, make(zh, "/c/keep", ""), "create");
  zoo_create_op_init(&ops[0], "/c/never", "", 0, OPEN, ZOO_PERSISTENT, NULL, 0);
  zoo_check_op_init(&ops[1], "/c/keep", 9);
  zoo_delete_op_init(&ops[2], "/c/keep", -1);
  EXPECT_INT(ZBADVERSION, zoo_multi(zh, 3, ops, results), "multi");
  EXPECT_INT(0, results[0].err, "first part");
  EXPECT_INT(ZBADVERSION, results[1].err, "second part");
  EXPECT_INT(ZRUNTIMEINCONSISTENCY, results[2].err, "third part");
  EXPECT_INT(ZNONODE, zoo_exists(zh, "/c/never", 0, &stat), "exists of what was rolled back");
  EXPECT_INT(ZOK, zoo_exists(zh, "/c/keep", 0, &stat), "exists of what was kept");
  EXPECT_INT(ZOK, zoo_amulti(zh, 1, ops, results, on_void, &a), "amulti");
  return answer_expect(&a, ZOK, "void");
}

static bool acls(void) {
  struct ACL_vector acl;
  struct Stat stat;
  struct answer a = {0}, bad = {0};
  struct events *session = events_new();
  EXPECT_INT(ZINVALIDACL, zoo_create(zh, "/c/acl", "", 0, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), "creator without identity");
  zhandle_t *ann = connected(server, session);
  if (ann == NULL) return false;
  EXPECT_INT(ZOK, zoo_add_auth(ann, "digest", "ann:secret", 10, on_void, &a), "add_auth");
  if (!answer_expect(&a, ZOK, "void")) return false;
  EXPECT_INT(ZOK, zoo_create(ann, "/c/acl", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), "create");
  EXPECT_INT(ZNOAUTH, zoo_exists(zh, "/c/acl", 0, &stat), "exists by another");
  EXPECT_INT(ZNOAUTH, zoo_set(zh, "/c/acl", "y", 1, -1), "set by another");
  EXPECT_INT(ZOK, zoo_get_acl(ann, "/c/acl", &acl, &stat), "get_acl");
  EXPECT_INT(1, acl.count, "entries");
  EXPECT_TEXT("digest", acl.data[0].id.scheme, "scheme");
  EXPECT(strncmp(acl.data[0].id.id, "ann:", 4) == 0, "id: expected <ann:...>, got <%s>", acl.data[0].id.id);
  EXPECT_INT(ZOO_PERM_ALL, acl.data[0].perms, "permissions");
  deallocate_ACL_vector(&acl);
  EXPECT_INT(ZBADVERSION, zoo_set_acl(ann, "/c/acl", 5, OPEN), "set_acl of a wrong version");
  EXPECT_INT(ZOK, zoo_set_acl(ann, "/c/acl", 0, &ZOO_READ_ACL_UNSAFE), "set_acl");
  EXPECT_INT(ZOK, zoo_exists(zh, "/c/acl", 0, &stat), "exists by another");
  EXPECT_INT(1, stat.aversion, "aversion");
  EXPECT_INT(ZNOAUTH, zoo_set(ann, "/c/acl", "y", 1, -1), "set by anyone");
  zookeeper_close(ann);
  struct events *failing = events_new();
  zhandle_t *unknown = connected(server, failing);
  if (unknown == NULL) return false;
  zoo_add_auth(unknown, "nosuch", "x", 1, on_void, &bad);
  EXPECT(answer_expect(&bad, ZAUTHFAILED, "void"), "an unknown scheme is refused");
  zookeeper_close(unknown);
  return true;
}

static bool reattach(void) {
  struct events *first_session = events_new(), *second_session = events_new(), *gone = events_new();
  struct Stat stat;
  zhandle_t *first = connected(relay, first_session);
  if (first == NULL) return false;
  clientid_t id = *zoo_client_id(first);
  EXPECT_INT(ZOK, zoo_create(first, "/c/mine", "", 0, OPEN, ZOO_EPHEMERAL, NULL, 0), "create");
  ask("freeze");
  zhandle_t *second = connect_to(server, SESSION_MS, &id, second_session);
  if (!events_await(second_session, "state 3")) return false;
  EXPECT_INT(id.client_id, zoo_client_id(second)->client_id, "session");
  EXPECT_INT(ZOK, zoo_exists(second, "/c/mine", 0, &stat), "exists");
  EXPECT_INT(id.client_id, stat.ephemeralOwner, "owner");
  EXPECT_INT(ZOK, zoo_wexists(zh, "/c/mine", events_watch, gone, &stat), "wexists");
  EXPECT_INT(ZOK, zookeeper_close(second), "close");
  if (!events_expect(gone, "deleted /c/mine")) return false;
  ask("thaw");
  if (!events_await(first_session, "state -112")) return false;
  EXPECT(is_unrecoverable(first), "an expired handle is unrecoverable");
  zookeeper_close(first);
  return true;
}

static bool wrong_password(void) {
  struct events *session = events_new();
  clientid_t id = *zoo_client_id(zh);
  id.client_id += 1000000;
  zhandle_t *refused = connect_to(server, SESSION_MS, &id, session);
  if (!events_await(session, "state -112")) return false;
  zookeeper_close(refused);
  return true;
}

static bool restart(void) {
  struct events *session = events_new(), *data = events_new();
  struct Stat stat;
  char buffer[10];
  int length = sizeof buffer;
  zhandle_t *handle = connected(server, session);
  if (handle == NULL) return false;
  int64_t id = zoo_client_id(handle)->client_id;
  EXPECT_INT(ZOK, make(handle, "/c/restart", ""), "create");
  EXPECT_INT(ZOK, zoo_create(handle, "/c/restart/mine", "", 0, OPEN, ZOO_EPHEMERAL, NULL, 0), "create ephemeral");
  EXPECT_INT(ZOK, zoo_wget(handle, "/c/restart", events_watch, data, buffer, &length, &stat), "wget");
  ask("kill-restart");
  if (!events_await(session, "state 3")) return false;
  EXPECT_INT(id, zoo_client_id(handle)->client_id, "session");
  EXPECT_INT(ZOK, zoo_exists(handle, "/c/restart/mine", 0, &stat), "exists");
  EXPECT_INT(id, stat.ephemeralOwner, "owner");
  EXPECT_INT(ZOK, zoo_set(handle, "/c/restart", "x", 1, -1), "set");
  if (!events_await(data, "changed /c/restart")) return false;
  zookeeper_close(handle);
  return true;
}

static bool chroot(void) {
  char address[64], path[64];
  struct events *session = events_new(), *e = events_new();
  struct Stat stat;
  snprintf(address, sizeof address, "%s/c/root", server);
  EXPECT_INT(ZOK, make(zh, "/c/root", ""), "create");
  zhandle_t *inside = connected(address, session);
  if (inside == NULL) return false;
  EXPECT_INT(ZNONODE, zoo_wexists(inside, "/a", events_watch, e, &stat), "wexists");
  EXPECT_INT(ZOK, zoo_create(inside, "/a", "", 0, OPEN, ZOO_PERSISTENT, path, sizeof path), "create");
  EXPECT_TEXT("/a", path, "path");
  if (!events_expect(e, "created /a")) return false;
  EXPECT_INT(ZOK, zoo_exists(zh, "/c/root/a", 0, &stat), "exists outside");
  zookeeper_close(inside);
  return true;
}

int main(void) {
  server = getenv("ZW_SERVER");
  relay = getenv("ZW_RELAY");
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  zh = connected(server, events_new());
  if (zh == NULL || make(zh, "/c", "") != ZOK) {
    fprintf(stderr, "cannot connect to %s\n", server);
    return 1;
  }
  check("create, get, set, exists, delete and their refusals", crud);
  check("null data stays null and empty data stays empty", null_data);
  check("every create mode", modes);
  check("both getChildren", children);
  check("the config node and a refused reconfig", config_node);
  check("data of a million bytes", large_data);
  check("asynchronous calls answer in order", asynchronous);
  check("exists, data and child watches", watches);
  check("watches can be removed", removal);
  check("multi does all kinds", multi_ok);
  check("multi with a failed check rolls back", multi_fails);
  check("digest identities and ACLs", acls);
  check("chroot", chroot);
  check("a session moves to another handle by client id", reattach);
  check("an unknown session is refused as expired", wrong_password);
  check("kill-restart: session, ephemeral and watch survive", restart);
  zookeeper_close(zh);
  return finish();
}
