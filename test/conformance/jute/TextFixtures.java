/*
 * Writes fixtures/text.json: what Java makes of bytes that should be UTF-8 (malformed ones above all), and the bytes
 * jute's writer makes of strings. With the jars of ZooKeeper 3.9.5 (and what they need) in LIB:
 *
 *   java -cp "LIB/*" test/conformance/jute/TextFixtures.java > test/conformance/jute/fixtures/text.json
 *
 * "decoded": [hex, text as hex of UTF-16 units] pairs. "exhaustive": every sequence of that many bytes out of the
 * alphabet, in counting order (last byte fastest), reduced to a SHA-256 over the UTF-16 units of each text, big-endian,
 * with a ten between two texts. "encoded": [text as hex of UTF-16 units, hex] pairs.
 */

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.jute.BinaryInputArchive;
import org.apache.jute.BinaryOutputArchive;

public class TextFixtures {
  /** Every boundary of the UTF-8 table. */
  static final int[] EDGES = {
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xaf, 0xb0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
    0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
  };
  static final int[] FEWER = {0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf1, 0xf4, 0xf5};

  public static void main(String[] args) throws Exception {
    Random random = new Random(3629);
    StringBuilder json = new StringBuilder("{\n\"decoded\": [\n");
    List<String> lines = new ArrayList<>();
    for (int lead : EDGES) {
      lines.add(decoded(new byte[] {(byte) lead}));
      for (int next : EDGES) if (next >= 0x80 && lead >= 0xc0) lines.add(decoded(new byte[] {(byte) lead, (byte) next}));
    }
    for (int i = 0; i < 1500; i++) {
      byte[] bytes = new byte[3 + random.nextInt(i % 4 == 0 ? 40 : 9)];
      for (int at = 0; at < bytes.length; at++) bytes[at] = (byte) FEWER[random.nextInt(FEWER.length)];
      lines.add(decoded(bytes));
    }
    // Surrogates in three bytes each (CESU-8), whole pairs and halves, cut short, beside well-formed text.
    for (String hex : new String[] {
      "eda0bdedb880", "edb880eda0bd", "eda080", "edbfbf", "eda0", "ed", "edbf41", "eda0eda0", "41eda0bdedb88042",
      "f09f9880", "f09f98", "f09f", "f48fbfbf", "f4908080", "f7bfbfbf", "f8888080", "c080", "c1bf", "e08080", "e09fbf",
      "f0808080", "f08fbfbf", "efbbbf41", "efbfbe", "efbfbf", "edeaa0", "e1eda080", "f090eda080", "f09080eda080",
    }) {
      lines.add(decoded(unhex(hex)));
    }
    json.append(String.join(",\n", lines)).append("\n],\n\"exhaustive\": [\n");
    json.append(exhaustive(EDGES, 2)).append(",\n").append(exhaustive(EDGES, 3)).append(",\n");
    json.append(exhaustive(FEWER, 4)).append("\n],\n\"encoded\": [\n");
    lines.clear();
    for (String text : new String[] {
      "", "/", "/a/b", "\0", "\u007f\u0080\u07ff\u0800\uffff", "gr\u00fc\u00dfe", "\u540d\u524d", "\ud83d\ude00", "a\ud83d", "\ude00b",
      "\ude00\ud83d", "\ud800\udc00\udbff\udfff", "\ufeffbom", "\ufffd",
    }) {
      lines.add(encoded(text));
    }
    for (int i = 0; i < 300; i++) {
      StringBuilder text = new StringBuilder();
      int length = random.nextInt(40);
      for (int at = 0; at < length; at++) text.append((char) random.nextInt(1 << (7 + random.nextInt(10))));
      lines.add(encoded(text.toString()));
    }
    System.out.println(json.append(String.join(",\n", lines)).append("\n]\n}"));
  }

  static String decode(byte[] bytes) throws Exception {
    byte[] framed = new byte[4 + bytes.length];
    framed[3] = (byte) bytes.length;
    System.arraycopy(bytes, 0, framed, 4, bytes.length);
    String text = BinaryInputArchive.getArchive(new ByteArrayInputStream(framed)).readString("x");
    if (!text.equals(new String(bytes, StandardCharsets.UTF_8))) throw new AssertionError("two ways to read");
    return text;
  }

  static String decoded(byte[] bytes) throws Exception {
    return "[\"" + hex(bytes) + "\", \"" + hex(units(decode(bytes))) + "\"]";
  }

  static String exhaustive(int[] alphabet, int length) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    byte[] bytes = new byte[length];
    long total = Math.round(Math.pow(alphabet.length, length));
    for (long i = 0; i < total; i++) {
      long rest = i;
      for (int at = length - 1; at >= 0; at--) {
        bytes[at] = (byte) alphabet[(int) (rest % alphabet.length)];
        rest /= alphabet.length;
      }
      digest.update(units(decode(bytes)));
      digest.update((byte) 10);
    }
    StringBuilder json = new StringBuilder("{\"alphabet\": \"");
    for (int value : alphabet) json.append(String.format("%02x", value));
    return json + "\", \"length\": " + length + ", \"sha256\": \"" + hex(digest.digest()) + "\"}";
  }

  static String encoded(String text) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    BinaryOutputArchive.getArchive(out).writeString(text, "x");
    return "[\"" + hex(units(text)) + "\", \"" + hex(out.toByteArray()).substring(8) + "\"]";
  }

  static byte[] units(String text) {
    byte[] bytes = new byte[2 * text.length()];
    for (int i = 0; i < text.length(); i++) {
      bytes[2 * i] = (byte) (text.charAt(i) >> 8);
      bytes[2 * i + 1] = (byte) text.charAt(i);
    }
    return bytes;
  }

  static byte[] unhex(String hex) {
    byte[] bytes = new byte[hex.length() / 2];
    for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
    return bytes;
  }

  static String hex(byte[] bytes) {
    StringBuilder hex = new StringBuilder();
    for (byte b : bytes) hex.append(String.format("%02x", b));
    return hex.toString();
  }
}
