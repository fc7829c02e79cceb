package trimtab.peers.contract;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;

/** The Example of one decision; window, objectives and clips as in benchmarks/homefeed.toml. */
public final class ExampleBuilder {

  public static final long ATTRIBUTION_MS = 600_000;
  public static final long LATENESS_MS = 30_000;
  public static final long WINDOW_MS = ATTRIBUTION_MS + LATENESS_MS;

  private record Objective(String name, Set<String> kinds, double clip) {}

  private static final List<Objective> OBJECTIVES = List.of(
      new Objective("repin", Set.of("repin"), 1.0),
      new Objective("click", Set.of("click", "long_click"), 2.0));
  private static final Schema OUTCOME = EventCodec.EXAMPLE.getField("outcome").schema();
  private static final Schema OBJECTIVE_OUTCOME = OUTCOME.getField("objectives").schema().getElementType();

  private final EventCodec codec;

  public ExampleBuilder(EventCodec codec) {
    this.codec = codec;
  }

  /** Framed bytes of the example; the engagements must be distinct. */
  public byte[] build(byte[] request, byte[] action, byte[] propensity, List<GenericRecord> engagements) {
    GenericRecord asked = codec.decode(request);
    long start = (Long) asked.get("event_time");
    GenericRecord example = new GenericData.Record(EventCodec.EXAMPLE);
    example.put("request", asked);
    example.put("action", codec.decode(action));
    example.put("propensity", codec.decode(propensity));
    GenericRecord outcome = new GenericData.Record(OUTCOME);
    outcome.put("objectives", objectives(start, engagements));
    outcome.put("closed_early", false);
    outcome.put("window_closed_at", start + WINDOW_MS);
    outcome.put("partition", PackedEvent.partition(request));
    outcome.put("offset", PackedEvent.offset(request));
    example.put("outcome", outcome);
    return codec.encodeExample(example);
  }

  private static List<GenericRecord> objectives(long start, List<GenericRecord> engagements) {
    List<GenericRecord> outcomes = new ArrayList<>(OBJECTIVES.size());
    for (Objective objective : OBJECTIVES) {
      double count = 0;
      for (GenericRecord engagement : engagements) {
        long delay = (Long) engagement.get("event_time") - start;
        if (delay >= 0 && delay <= ATTRIBUTION_MS && objective.kinds().contains(engagement.get("kind").toString())) {
          count += (Double) engagement.get("value");
        }
      }
      GenericRecord outcome = new GenericData.Record(OBJECTIVE_OUTCOME);
      outcome.put("objective", objective.name());
      outcome.put("count", count);
      outcome.put("reward", Math.min(count, objective.clip()));
      outcome.put("observed", true);
      outcomes.add(outcome);
    }
    return outcomes;
  }
}
