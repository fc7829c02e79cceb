package trimtab.peers.kafka_streams;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import trimtab.peers.contract.EventCodec;
import trimtab.peers.contract.ExampleBuilder;
import trimtab.peers.contract.Job;
import trimtab.peers.contract.PackedEvent;

/**
 * One partition's join. The store holds every event of an open decision as bytes, under request id, schema id and, for
 * engagements, a number: read by get, never by a scan. Due times are a heap in memory, rebuilt from the store.
 */
final class DecisionJoin implements Processor<byte[], byte[], byte[], byte[]> {

  static final String STORE = "open-events";

  private record Due(long time, byte[] requestId) {}

  private final EventCodec codec = new EventCodec();
  private final ExampleBuilder examples = new ExampleBuilder(codec);
  private final PriorityQueue<Due> dues = new PriorityQueue<>(Comparator.comparingLong(Due::time));
  private ProcessorContext<byte[], byte[]> context;
  private KeyValueStore<Bytes, byte[]> store;
  private long watermark;

  @Override
  public void init(ProcessorContext<byte[], byte[]> context) {
    this.context = context;
    store = context.getStateStore(STORE);
    try (var kept = store.all()) {
      kept.forEachRemaining(entry -> {
        byte[] key = entry.key.get();
        dues.add(due(Arrays.copyOf(key, key.length - 2), entry.value));
      });
    }
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    Job.started();
    var place = context.recordMetadata().orElseThrow();
    byte[] event = PackedEvent.pack(place.partition(), place.offset(), record.value());
    watermark = Math.max(watermark, codec.eventTime(event));
    if (PackedEvent.schemaId(event) != EventCodec.HEARTBEAT) {
      hold(record.key(), event);
    }
    while (!dues.isEmpty() && dues.peek().time() <= watermark) {
      close(dues.poll());
    }
  }

  private void hold(byte[] requestId, byte[] event) {
    byte kind = PackedEvent.schemaId(event);
    if (kind == EventCodec.REQUEST || store.get(key(requestId, EventCodec.REQUEST, 0)) == null) {
      dues.add(due(requestId, event));
    }
    if (kind == EventCodec.ENGAGEMENT) {
      holdEngagement(requestId, event);
    } else {
      store.putIfAbsent(key(requestId, kind, 0), event);
    }
  }

  private void holdEngagement(byte[] requestId, byte[] event) {
    Object id = codec.decode(event).get("engagement_id");
    for (int number = 0; ; number++) {
      Bytes key = key(requestId, EventCodec.ENGAGEMENT, number);
      byte[] held = store.get(key);
      if (held == null) {
        store.put(key, event);
        return;
      }
      if (codec.decode(held).get("engagement_id").equals(id)) {
        return;
      }
    }
  }

  private void close(Due due) {
    byte[] id = due.requestId();
    byte[] request = store.get(key(id, EventCodec.REQUEST, 0));
    if (request != null && due(id, request).time() > watermark) {
      return;
    }
    byte[] action = take(id, EventCodec.ACTION, 0);
    byte[] propensity = take(id, EventCodec.PROPENSITY, 0);
    List<GenericRecord> engagements = new ArrayList<>();
    byte[] engagement;
    while ((engagement = take(id, EventCodec.ENGAGEMENT, engagements.size())) != null) {
      engagements.add(codec.decode(engagement));
    }
    if (request == null) {
      return;
    }
    store.delete(key(id, EventCodec.REQUEST, 0));
    if (action != null && propensity != null) {
      byte[] example = examples.build(request, action, propensity, engagements);
      context.forward(new Record<>(id, example, context.currentStreamTimeMs()));
    }
  }

  private byte[] take(byte[] requestId, byte kind, int number) {
    Bytes key = key(requestId, kind, number);
    byte[] held = store.get(key);
    return held == null ? null : store.delete(key);
  }

  private Due due(byte[] requestId, byte[] event) {
    return new Due(codec.eventTime(event) + ExampleBuilder.WINDOW_MS, requestId);
  }

  private static Bytes key(byte[] requestId, byte kind, int number) {
    return Bytes.wrap(ByteBuffer.allocate(requestId.length + 2).put(requestId).put(kind).put((byte) number).array());
  }
}
