package trimtab.peers.flink;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import trimtab.peers.contract.EventCodec;
import trimtab.peers.contract.ExampleBuilder;
import trimtab.peers.contract.PackedEvent;

/** Keeps a decision's events as bytes, by engagement id or schema id, and joins them when their timer fires. */
final class DecisionJoin extends KeyedProcessFunction<String, Tuple3<String, Long, byte[]>, Tuple2<String, byte[]>> {

  private transient MapState<String, byte[]> held;
  private transient EventCodec codec;
  private transient ExampleBuilder examples;

  @Override
  public void open(OpenContext context) {
    codec = new EventCodec();
    examples = new ExampleBuilder(codec);
    held = getRuntimeContext().getMapState(new MapStateDescriptor<>("held", Types.STRING, Main.BYTES));
  }

  @Override
  public void processElement(
      Tuple3<String, Long, byte[]> event, Context context, Collector<Tuple2<String, byte[]>> out) throws Exception {
    byte kind = PackedEvent.schemaId(event.f2);
    if (kind == EventCodec.REQUEST || !held.contains(name(EventCodec.REQUEST))) {
      context.timerService().registerEventTimeTimer(event.f1 + ExampleBuilder.ATTRIBUTION_MS);
    }
    String name = kind == EventCodec.ENGAGEMENT
        ? "engagement " + codec.decode(event.f2).get("engagement_id")
        : name(kind);
    if (!held.contains(name)) {
      held.put(name, event.f2);
    }
  }

  @Override
  public void onTimer(long time, OnTimerContext context, Collector<Tuple2<String, byte[]>> out) throws Exception {
    byte[] request = held.get(name(EventCodec.REQUEST));
    if (request != null && codec.eventTime(request) + ExampleBuilder.ATTRIBUTION_MS > time) {
      return;
    }
    byte[] action = held.get(name(EventCodec.ACTION));
    byte[] propensity = held.get(name(EventCodec.PROPENSITY));
    if (request != null && action != null && propensity != null) {
      List<GenericRecord> engagements = new ArrayList<>();
      for (Map.Entry<String, byte[]> entry : held.entries()) {
        if (PackedEvent.schemaId(entry.getValue()) == EventCodec.ENGAGEMENT) {
          engagements.add(codec.decode(entry.getValue()));
        }
      }
      out.collect(Tuple2.of(context.getCurrentKey(), examples.build(request, action, propensity, engagements)));
    }
    held.clear();
  }

  private static String name(byte schemaId) {
    return "part " + schemaId;
  }
}
