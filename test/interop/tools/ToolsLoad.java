import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Quotas;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.cli.SetQuotaCommand;

/**
 * Fills a server with what tools print: one of every transaction, and names and data that are awkward to print or to
 * put into a hash table's order. Leaves its session open.
 */
public class ToolsLoad {
  public static void main(String[] args) throws Exception {
    ZooKeeper zk = new ZooKeeper(args[0], 60000, event -> {});
    zk.addAuthInfo("digest", "pat:secret".getBytes());
    String top = "/" + args[1];
    DiskFixture.fill(zk, args[0], top);

    // Bytes that are no text, and text that jute's notation escapes.
    byte[] bytes = new byte[300];
    new Random(7).nextBytes(bytes);
    create(zk, top + "/bytes", bytes);
    create(zk, top + "/lines", "one\ntwo\r\nthree".getBytes());
    create(zk, top + "/a,b}c%d\"e\\f", "x".getBytes());
    zk.setACL(top + "/a,b}c%d\"e\\f", Ids.OPEN_ACL_UNSAFE, -1);
    zk.delete(top + "/a,b}c%d\"e\\f", -1);
    create(zk, top + "/quote\"back\\slash", "x".getBytes());
    create(zk, top + "/emoji", "\ud83d\ude00".getBytes(StandardCharsets.UTF_8));
    create(zk, top + "/Pr\u00fcfung", new byte[0]);

    // Sets of children at every size at which Java's table grows, and one whose names share a hash: as many as make it
    // grow twice for that, and one less than make a tree of a bucket, whose order is another.
    for (int count : new int[] {6, 7, 12, 13, 100}) {
      create(zk, top + "/set" + count, null);
      for (int i = 0; i < count; i++) create(zk, top + "/set" + count + "/child-" + i * i, ("" + i).getBytes());
    }
    create(zk, top + "/collisions", null);
    for (int i = 0; i < 16; i++) {
      StringBuilder name = new StringBuilder();
      for (int bit = 0; bit < 4; bit++) name.append((i >> bit & 1) == 0 ? "Aa" : "BB");
      if (i < 10) create(zk, top + "/collisions/" + name, null);
    }
    StringBuilder deep = new StringBuilder(top);
    for (int i = 0; i < 20; i++) create(zk, deep.append("/d" + i).toString(), new byte[i]);

    StatsTrack quota = new StatsTrack();
    quota.setCount(1000);
    quota.setBytes(100000);
    SetQuotaCommand.createQuota(zk, top + "/set100", quota);
    create(zk, top + "/set100/last", "counted".getBytes());
    Runtime.getRuntime().halt(0);
  }

  private static void create(ZooKeeper zk, String path, byte[] data) throws Exception {
    zk.create(path, data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
  }
}
