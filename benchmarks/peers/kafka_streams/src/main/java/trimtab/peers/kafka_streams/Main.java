package trimtab.peers.kafka_streams;

import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.Stores;
import trimtab.peers.contract.Job;

/** Kafka Streams, at least once, JOB_THREADS threads. JOB_VARIANT: where the store is kept, `memory` or `rocksdb`. */
public final class Main {

  private Main() {}

  public static void main(String[] arguments) {
    Job job = Job.fromEnvironment();
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, job.group());
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.bootstrap());
    settings.put(StreamsConfig.STATE_DIR_CONFIG, job.stateDir());
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, job.threads());
    KafkaStreams streams = new KafkaStreams(topology(job), settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static Topology topology(Job job) {
    KeyValueBytesStoreSupplier kept = job.variant().equals("rocksdb")
        ? Stores.persistentKeyValueStore(DecisionJoin.STORE)
        : Stores.inMemoryKeyValueStore(DecisionJoin.STORE);
    var bytes = Serdes.ByteArray();
    Topology topology = new Topology();
    topology.addSource("events", bytes.deserializer(), bytes.deserializer(), job.eventsTopic());
    topology.addProcessor("join", DecisionJoin::new, "events");
    topology.addStateStore(Stores.keyValueStoreBuilder(kept, Serdes.Bytes(), bytes), "join");
    topology.addSink("examples", job.outputTopic(), bytes.serializer(), bytes.serializer(), "join");
    return topology;
  }
}
