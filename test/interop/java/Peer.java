import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The program's side of the line protocol with the runner, and the few assertions the checks need.
 *
 * A check runs on a thread of its own with a deadline, so one that hangs fails alone and the rest still run.
 */
final class Peer {
    interface Body {
        void run() throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static final String SERVER = System.getenv("ZW_SERVER");
    static final String RELAY = System.getenv("ZW_RELAY");
    static final String SUPER = System.getenv("ZW_SUPER");
    static final int TIMEOUT_MS = 30_000;
    private static final int CHECK_TIMEOUT_MS = 90_000;

    // The real stdout belongs to the protocol; whatever a library prints goes to stderr.
    private static final PrintStream OUT = System.out;
    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));
    private static int count = 0;

    private Peer() {}

    static void begin() {
        System.setOut(System.err);
    }

    static void end() {
        say("end " + count);
        System.exit(0); // a library's stray thread must not keep us
    }

    private static void say(String line) {
        synchronized (OUT) {
            OUT.println(line);
            OUT.flush();
        }
    }

    /** Has the runner act on the server (kill-restart, freeze, ...) and returns when that is done. */
    static void ask(String what) throws IOException {
        say("ask " + what);
        String answer = IN.readLine();
        if (!"done".equals(answer)) throw new IOException("the runner said " + answer);
    }

    static void check(String name, Body body) throws InterruptedException {
        say("begin " + name);
        CompletableFuture<Void> done = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                body.run();
                done.complete(null);
            } catch (Throwable error) {
                done.completeExceptionally(error);
            }
        }, "check");
        thread.setDaemon(true);
        thread.start();
        count++;
        try {
            done.get(CHECK_TIMEOUT_MS, TimeUnit.MILLISECONDS);
            say("ok " + name);
        } catch (ExecutionException error) {
            say("not ok " + name + " :: " + describe(error.getCause()));
        } catch (TimeoutException error) {
            say("not ok " + name + " :: not finished after " + CHECK_TIMEOUT_MS + " ms, at " + where(thread));
            thread.interrupt();
        }
    }

    private static String describe(Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text));
        System.err.println(text);
        StringBuilder line = new StringBuilder(error.toString());
        for (StackTraceElement frame : error.getStackTrace()) {
            if (isOurs(frame)) line.append(" at ").append(frame.getFileName()).append(':').append(frame.getLineNumber());
        }
        return line.toString().replaceAll("\\s+", " ");
    }

    private static String where(Thread thread) {
        StringBuilder line = new StringBuilder();
        for (StackTraceElement frame : thread.getStackTrace()) {
            line.append(frame.getMethodName());
            if (isOurs(frame)) line.append(' ').append(frame.getFileName()).append(':').append(frame.getLineNumber());
            line.append(" < ");
        }
        return line.toString();
    }

    /** Our classes are the ones in no package. */
    private static boolean isOurs(StackTraceElement frame) {
        return !frame.getClassName().contains(".") && !frame.getClassName().equals("Peer");
    }

    static void equal(Object expected, Object got, String what) {
        if (!Objects.equals(expected, got)) {
            throw new AssertionError(what + ": expected <" + expected + ">, got <" + got + ">");
        }
    }

    static void that(boolean holds, String what) {
        if (!holds) throw new AssertionError("expected: " + what);
    }

    /** For what no event announces. Polls; the deadline is for the hopeless case only. */
    static void until(String what, Condition condition) throws Exception {
        until(what, TIMEOUT_MS, condition);
    }

    static void until(String what, int timeoutMs, Condition condition) throws Exception {
        long deadline = System.nanoTime() + timeoutMs * 1_000_000L;
        while (!condition.holds()) {
            if (System.nanoTime() > deadline) throw new AssertionError("never came true: " + what);
            Thread.sleep(20);
        }
    }

    static String oneLine(byte[] data) {
        return data == null ? "null" : new String(data, java.nio.charset.StandardCharsets.UTF_8);
    }
}
