package trimtab.peers.contract;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the harness passes to a peer in JOB_* variables. */
public record Job(String bootstrap, String eventsTopic, String outputTopic, String group, String stateDir, String variant,
    int threads) {

  private static volatile boolean begun;

  public static Job fromEnvironment() {
    return new Job(told("BOOTSTRAP"), told("EVENTS_TOPIC"), told("OUTPUT_TOPIC"), told("GROUP"), told("STATE_DIR"),
        told("VARIANT"), Integer.parseInt(told("THREADS")));
  }

  /** Records the time of the first record, once. */
  public static void started() {
    if (begun) {
      return;
    }
    begun = true;
    Path file = Path.of(told("START_FILE"));
    Path draft = Path.of(file + ".draft");
    try {
      Files.writeString(draft, Double.toString(System.currentTimeMillis() / 1000.0));
      Files.move(draft, file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String told(String name) {
    return System.getenv("JOB_" + name);
  }
}
