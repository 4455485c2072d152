/*
 * Writes fixtures/records.json: records filled with values by reflection and serialised by Apache ZooKeeper's own
 * classes. With the jars of ZooKeeper 3.9.5 (and what they need) in LIB:
 *
 *   java -cp "LIB/*" test/conformance/jute/JuteFixtures.java > test/conformance/jute/fixtures/records.json
 *
 * A value is a number, true or false, null, a string (ustring), {"long": "decimal"}, {"buffer": "hex"}, a list, or an
 * object (record).
 */

import java.io.ByteArrayOutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.DeleteContainerRequest;
import org.apache.zookeeper.MultiOperationRecord;
import org.apache.zookeeper.MultiResponse;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.proto.*;
import org.apache.zookeeper.server.quorum.LearnerInfo;

public class JuteFixtures {
  static final String DATA = "org.apache.zookeeper.data.";
  static final String PROTO = "org.apache.zookeeper.proto.";
  static final String TXN = "org.apache.zookeeper.txn.";
  static final String QUORUM = "org.apache.zookeeper.server.quorum.";
  static final String[] CLASSES = {
    DATA + "Id", DATA + "ACL", DATA + "Stat", DATA + "StatPersisted", DATA + "ClientInfo",
    PROTO + "ConnectRequest", PROTO + "ConnectResponse", PROTO + "RequestHeader", PROTO + "ReplyHeader",
    PROTO + "MultiHeader", PROTO + "AuthPacket", PROTO + "WatcherEvent", PROTO + "CreateRequest",
    PROTO + "CreateTTLRequest", PROTO + "DeleteRequest", PROTO + "CheckVersionRequest", PROTO + "SetDataRequest",
    PROTO + "SetACLRequest", PROTO + "GetDataRequest", PROTO + "ExistsRequest", PROTO + "GetChildrenRequest",
    PROTO + "GetChildren2Request", PROTO + "GetACLRequest", PROTO + "SyncRequest",
    PROTO + "GetAllChildrenNumberRequest", PROTO + "GetEphemeralsRequest", PROTO + "AddWatchRequest",
    PROTO + "CheckWatchesRequest", PROTO + "RemoveWatchesRequest", PROTO + "SetWatches", PROTO + "SetWatches2",
    PROTO + "ReconfigRequest", PROTO + "GetSASLRequest", PROTO + "CreateResponse", PROTO + "Create2Response",
    PROTO + "SetDataResponse", PROTO + "SetACLResponse", PROTO + "ExistsResponse", PROTO + "GetDataResponse",
    PROTO + "GetChildrenResponse", PROTO + "GetChildren2Response", PROTO + "GetACLResponse",
    PROTO + "GetAllChildrenNumberResponse", PROTO + "GetEphemeralsResponse", PROTO + "SyncResponse",
    PROTO + "WhoAmIResponse", PROTO + "ErrorResponse", PROTO + "SetSASLResponse",
    TXN + "TxnHeader", TXN + "TxnDigest", TXN + "CreateTxn", TXN + "CreateTxnV0", TXN + "CreateTTLTxn",
    TXN + "CreateContainerTxn", TXN + "DeleteTxn", TXN + "SetDataTxn", TXN + "SetACLTxn", TXN + "CheckVersionTxn",
    TXN + "CreateSessionTxn", TXN + "CloseSessionTxn", TXN + "ErrorTxn", TXN + "Txn", TXN + "MultiTxn",
    "org.apache.zookeeper.server.persistence.FileHeader",
    QUORUM + "QuorumPacket", QUORUM + "LearnerInfo", QUORUM + "QuorumAuthPacket",
  };
  /** Compared, never counted with: these may be any 64 bits. The others stay within 2^53. */
  static final Set<String> OPAQUE = Set.of("sessionId", "clientId", "ephemeralOwner", "treeDigest", "magic");
  static final String[] STRINGS = {
    "/", "/a", "/zookeeper/quota", "world", "anyone", "/gr\u00fc\u00dfe", "/\u540d\u524d/\u5b50", "\u07ff\u0800\uffff", "nul\0",
    "/0123456789abcdef0123456789abcdef0123456789abcdef",
  };
  static final int[] INTS = {0, 1, -1, 31, -127, 0x10000, Integer.MAX_VALUE, Integer.MIN_VALUE};
  static final long[] LONGS = {
    0, 1, -1, 0xffffffffL, 0x100000000L, -0x100000000L, -0xffffffffL, -0x100000001L, 0x5_0000_0007L, 1700000000123L,
    (1L << 53) - 1, 1 - (1L << 53),
  };
  static final long[] OPAQUES = {
    0, -1, Long.MAX_VALUE, Long.MIN_VALUE, 0x100000b85200000L, 0xff00000000001388L, 0x8000000080000000L,
  };

  public static void main(String[] args) throws Exception {
    StringBuilder json = new StringBuilder("{\n\"release\": \"3.9.5\",\n\"records\": [\n");
    for (int i = 0; i < CLASSES.length; i++) {
      json.append(i == 0 ? "" : ",\n").append(ofClass(Class.forName(CLASSES[i]), new Random(395 + i)));
    }
    json.append("\n],\n\"messages\": [\n");
    messages(json);
    System.out.println(json.append("\n]\n}"));
  }

  static String ofClass(Class<?> type, Random random) throws Exception {
    StringBuilder json = new StringBuilder("{\"name\": ").append(quoted(type.getSimpleName())).append(", \"fields\": [");
    List<String> fields = new ArrayList<>();
    for (Field field : type.getDeclaredFields()) {
      if (!java.lang.reflect.Modifier.isStatic(field.getModifiers())) {
        fields.add("[" + quoted(field.getName()) + ", " + quoted(juteType(field.getGenericType())) + "]");
      }
    }
    json.append(String.join(", ", fields)).append("], \"cases\": [");
    for (int fill = 0; fill < 5; fill++) {
      Record record = (Record) filled(type, fill, random);
      json.append(fill == 0 ? "\n" : ",\n").append("  {\"values\": ").append(value(record)).append(", \"hex\": ");
      json.append(quoted(hex(bytes(record)))).append("}");
    }
    return json.append("\n]}").toString();
  }

  static String juteType(Type type) {
    if (type == byte[].class) return "buffer";
    if (type == String.class) return "ustring";
    if (type instanceof ParameterizedType) {
      return "vector<" + juteType(((ParameterizedType) type).getActualTypeArguments()[0]) + ">";
    }
    return ((Class<?>) type).getSimpleName();
  }

  /** fill 0: zeros and nulls. 1: empty. Else by chance. Nested records and their vectors' items are never null. */
  static Object filled(Class<?> type, int fill, Random random) throws Exception {
    Object record = type.getDeclaredConstructor().newInstance();
    for (Field field : type.getDeclaredFields()) {
      if (java.lang.reflect.Modifier.isStatic(field.getModifiers())) continue;
      field.setAccessible(true);
      field.set(record, any(field.getGenericType(), field.getName(), fill, random));
    }
    return record;
  }

  static Object any(Type type, String name, int fill, Random random) throws Exception {
    if (type == boolean.class) return fill >= 2 && random.nextBoolean();
    if (type == int.class) return fill < 2 ? 0 : fill == 2 ? random.nextInt() : INTS[random.nextInt(INTS.length)];
    if (type == long.class) {
      long[] choice = OPAQUE.contains(name) ? OPAQUES : LONGS;
      long bits = random.nextLong();
      return fill < 2 ? 0 : fill > 2 ? choice[random.nextInt(choice.length)] : OPAQUE.contains(name) ? bits : bits >> 11;
    }
    if (type == String.class) {
      if (fill < 2) return fill == 0 ? null : "";
      return random.nextInt(12) == 0 ? null : STRINGS[random.nextInt(STRINGS.length)];
    }
    if (type == byte[].class) {
      if (fill < 2) return fill == 0 ? null : new byte[0];
      byte[] bytes = new byte[random.nextInt(3) == 0 ? 16 : random.nextInt(50)];
      random.nextBytes(bytes);
      return bytes;
    }
    if (type instanceof ParameterizedType) {
      if (fill == 0) return null;
      List<Object> list = new ArrayList<>();
      int count = fill == 1 ? 0 : random.nextInt(4);
      Type item = ((ParameterizedType) type).getActualTypeArguments()[0];
      for (int i = 0; i < count; i++) list.add(any(item, name, fill, random));
      return list;
    }
    return filled((Class<?>) type, fill, random);
  }

  static byte[] bytes(Record record) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    record.serialize(BinaryOutputArchive.getArchive(out), "x");
    return out.toByteArray();
  }

  /** Whole messages made by the classes that compose them, beside the records they should consist of. */
  static void messages(StringBuilder json) throws Exception {
    List<ACL> acl = ZooDefs.Ids.OPEN_ACL_UNSAFE;
    byte[] data = "v\u00e9".getBytes("UTF-8");
    MultiHeader end = new MultiHeader(-1, true, -1);

    message(json, "multi request", new MultiOperationRecord(Arrays.asList(
        Op.create("/m", data, acl, CreateMode.EPHEMERAL_SEQUENTIAL),
        Op.create("/c", null, acl, CreateMode.CONTAINER),
        Op.create("/t", new byte[0], acl, CreateMode.PERSISTENT_WITH_TTL, 5000),
        Op.check("/\u540d", 7), Op.setData("/m", data, -1), Op.delete("/m", 0))),
        new MultiHeader(1, false, -1), new CreateRequest("/m", data, acl, 3),
        new MultiHeader(19, false, -1), new CreateRequest("/c", null, acl, 4),
        new MultiHeader(21, false, -1), new CreateTTLRequest("/t", new byte[0], acl, 5, 5000),
        new MultiHeader(13, false, -1), new CheckVersionRequest("/\u540d", 7),
        new MultiHeader(5, false, -1), new SetDataRequest("/m", data, -1),
        new MultiHeader(2, false, -1), new DeleteRequest("/m", 0), end);
    message(json, "multiRead request", new MultiOperationRecord(Arrays.asList(Op.getData("/a"), Op.getChildren("/"))),
        new MultiHeader(4, false, -1), new GetDataRequest("/a", false),
        new MultiHeader(8, false, -1), new GetChildrenRequest("/", false), end);
    message(json, "empty multi request", new MultiOperationRecord(), end);

    Stat stat = new Stat(0x100000002L, 0x100000003L, 1700000000123L, 1700000000456L, 1, -1, 0, 0x100000b85200000L, 3, 0, 0x100000004L);
    MultiResponse response = new MultiResponse();
    response.add(new OpResult.CreateResult("/m0000000000"));
    response.add(new OpResult.CreateResult("/c", stat));
    response.add(new OpResult.DeleteResult());
    response.add(new OpResult.SetDataResult(stat));
    response.add(new OpResult.CheckResult());
    response.add(new OpResult.GetDataResult(data, stat));
    response.add(new OpResult.GetChildrenResult(Arrays.asList("x", "\u00e9")));
    response.add(new OpResult.ErrorResult(-101));
    message(json, "multi response", response,
        new MultiHeader(1, false, 0), new CreateResponse("/m0000000000"),
        new MultiHeader(15, false, 0), new Create2Response("/c", stat),
        new MultiHeader(2, false, 0), new MultiHeader(5, false, 0), new SetDataResponse(stat),
        new MultiHeader(13, false, 0), new MultiHeader(4, false, 0), new GetDataResponse(data, stat),
        new MultiHeader(8, false, 0), new GetChildrenResponse(Arrays.asList("x", "\u00e9")),
        new MultiHeader(-1, false, -101), new ErrorResponse(-101), end);
    // Made by a class of its own; a record of this name is the same as one of a path alone.
    message(json, "deleteContainer request", new DeleteContainerRequest("/c\u540d"), new SyncRequest("/c\u540d"));
    message(json, "learner info", new LearnerInfo(3, 0x10000, 0x100000000L), new LearnerInfo(3, 0x10000, 0x100000000L));
  }

  static boolean first = true;

  static void message(StringBuilder json, String name, Record whole, Record... parts) throws Exception {
    json.append(first ? "" : ",\n").append("{\"name\": ").append(quoted(name)).append(", \"parts\": [\n");
    first = false;
    for (int i = 0; i < parts.length; i++) {
      json.append(i == 0 ? "  " : ",\n  ").append("{\"name\": ").append(quoted(parts[i].getClass().getSimpleName()));
      json.append(", \"values\": ").append(value(parts[i])).append("}");
    }
    json.append("\n], \"hex\": ").append(quoted(hex(bytes(whole)))).append("}");
  }

  static String value(Object value) throws Exception {
    if (value == null || value instanceof Boolean || value instanceof Integer) return String.valueOf(value);
    if (value instanceof Long) return "{\"long\": \"" + value + "\"}";
    if (value instanceof String) return quoted((String) value);
    if (value instanceof byte[]) return "{\"buffer\": \"" + hex((byte[]) value) + "\"}";
    List<String> parts = new ArrayList<>();
    if (value instanceof List) {
      for (Object item : (List<?>) value) parts.add(value(item));
      return "[" + String.join(", ", parts) + "]";
    }
    for (Field field : value.getClass().getDeclaredFields()) {
      if (java.lang.reflect.Modifier.isStatic(field.getModifiers())) continue;
      field.setAccessible(true);
      parts.add(quoted(field.getName()) + ": " + value(field.get(value)));
    }
    return "{" + String.join(", ", parts) + "}";
  }

  static String quoted(String text) {
    StringBuilder json = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') json.append(String.format("\\u%04x", (int) c));
      else json.append(c);
    }
    return json.append('"').toString();
  }

  static String hex(byte[] bytes) {
    StringBuilder hex = new StringBuilder();
    for (byte b : bytes) hex.append(String.format("%02x", b));
    return hex.toString();
  }
}
