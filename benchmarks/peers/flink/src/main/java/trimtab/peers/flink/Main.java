package trimtab.peers.flink;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.producer.ProducerRecord;
import trimtab.peers.contract.ExampleBuilder;
import trimtab.peers.contract.Job;

/** Flink's DataStream: source, keyBy request id, event-time timers, at-least-once sink; hashmap state, parallelism JOB_THREADS. */
public final class Main {

  static final TypeInformation<byte[]> BYTES = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
  static final TypeInformation<Tuple3<String, Long, byte[]>> EVENT = Types.TUPLE(Types.STRING, Types.LONG, BYTES);
  private static final long CHECKPOINT_MS = 10_000;

  private Main() {}

  public static void main(String[] arguments) throws Exception {
    Job job = Job.fromEnvironment();
    Configuration settings = new Configuration();
    settings.setString("execution.checkpointing.dir", Path.of(job.stateDir(), "checkpoints").toUri().toString());
    settings.setString("state.backend.type", "hashmap");
    settings.setString("pipeline.object-reuse", "true");
    var environment = StreamExecutionEnvironment.getExecutionEnvironment(settings);
    environment.setParallelism(job.threads());
    environment.enableCheckpointing(CHECKPOINT_MS);
    var watermarks = WatermarkStrategy
        .<Tuple3<String, Long, byte[]>>forBoundedOutOfOrderness(Duration.ofMillis(ExampleBuilder.LATENESS_MS))
        .withTimestampAssigner((event, appended) -> event.f1);
    environment.fromSource(source(job), watermarks, "events")
        .filter(event -> !event.f0.isEmpty())
        .keyBy(event -> event.f0)
        .process(new DecisionJoin())
        .returns(Types.TUPLE(Types.STRING, BYTES))
        .sinkTo(sink(job));
    environment.execute("attribution");
  }

  private static KafkaSource<Tuple3<String, Long, byte[]>> source(Job job) {
    return KafkaSource.<Tuple3<String, Long, byte[]>>builder()
        .setBootstrapServers(job.bootstrap())
        .setGroupId(job.group())
        .setTopics(job.eventsTopic())
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setDeserializer(new PackedDeserializer())
        .build();
  }

  private static KafkaSink<Tuple2<String, byte[]>> sink(Job job) {
    String topic = job.outputTopic();
    KafkaRecordSerializationSchema<Tuple2<String, byte[]>> keyed = (example, place, time) ->
        new ProducerRecord<>(topic, example.f0.getBytes(StandardCharsets.UTF_8), example.f1);
    return KafkaSink.<Tuple2<String, byte[]>>builder()
        .setBootstrapServers(job.bootstrap())
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setRecordSerializer(keyed)
        .build();
  }
}
