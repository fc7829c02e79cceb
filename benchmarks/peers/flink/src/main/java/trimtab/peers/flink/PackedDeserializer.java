package trimtab.peers.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import trimtab.peers.contract.EventCodec;
import trimtab.peers.contract.Job;
import trimtab.peers.contract.PackedEvent;

/** Request id (empty for a heartbeat), event time and packed bytes of every record. */
final class PackedDeserializer implements KafkaRecordDeserializationSchema<Tuple3<String, Long, byte[]>> {

  private transient EventCodec codec;

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple3<String, Long, byte[]>> out) {
    Job.started();
    if (codec == null) {
      codec = new EventCodec();
    }
    byte[] event = PackedEvent.pack(record.partition(), record.offset(), record.value());
    String requestId = record.key() == null ? "" : new String(record.key(), StandardCharsets.UTF_8);
    out.collect(Tuple3.of(requestId, codec.eventTime(event), event));
  }

  @Override
  public TypeInformation<Tuple3<String, Long, byte[]>> getProducedType() {
    return Main.EVENT;
  }
}
