package trimtab.peers.contract;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Events to records, and Examples to bytes, by the contract's schemas (JOB_SCHEMAS). One instance per thread. */
public final class EventCodec {

  public static final byte REQUEST;
  public static final byte ACTION;
  public static final byte PROPENSITY;
  public static final byte ENGAGEMENT;
  public static final byte HEARTBEAT;
  private static final byte EXAMPLE_ID;
  private static final Map<Byte, Schema> SCHEMAS = new HashMap<>();
  static final Schema EXAMPLE;

  static {
    Map<String, Byte> ids = new HashMap<>();
    Path folder = Path.of(Job.told("SCHEMAS"));
    try {
      JsonNode registry = new ObjectMapper().readTree(folder.resolve("registry.json").toFile());
      for (Map.Entry<String, JsonNode> entry : registry.properties()) {
        Schema schema = new Schema.Parser().parse(folder.resolve(entry.getValue().get("file").asText()).toFile());
        SCHEMAS.put(Byte.valueOf(entry.getKey()), schema);
        ids.put(schema.getName(), Byte.valueOf(entry.getKey()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    REQUEST = ids.get("Request");
    ACTION = ids.get("Action");
    PROPENSITY = ids.get("Propensity");
    ENGAGEMENT = ids.get("Engagement");
    HEARTBEAT = ids.get("Heartbeat");
    EXAMPLE_ID = ids.get("Example");
    EXAMPLE = SCHEMAS.get(EXAMPLE_ID);
  }

  private final GenericData data = new GenericData().setFastReaderEnabled(true);
  private final Map<Byte, GenericDatumReader<GenericRecord>> readers = new HashMap<>();
  private final GenericDatumWriter<GenericRecord> writer = new GenericDatumWriter<>(EXAMPLE, data);
  private final ByteArrayOutputStream out = new ByteArrayOutputStream(2048);
  private BinaryDecoder decoder;
  private BinaryEncoder encoder;

  public EventCodec() {
    SCHEMAS.forEach((id, schema) -> readers.put(id, new GenericDatumReader<>(schema, schema, data)));
  }

  public GenericRecord decode(byte[] event) {
    try {
      return readers.get(PackedEvent.schemaId(event)).read(null, datum(event));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The event's time without decoding the rest: it is the first field, or the second after request_id. */
  public long eventTime(byte[] event) {
    try {
      BinaryDecoder in = datum(event);
      if (PackedEvent.schemaId(event) == ENGAGEMENT) {
        in.skipString();
      }
      if (PackedEvent.schemaId(event) != HEARTBEAT) {
        in.skipString();
      }
      return in.readLong();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public byte[] encodeExample(GenericRecord example) {
    try {
      out.reset();
      out.write(new byte[] {0, 0, 0, 0, EXAMPLE_ID});
      encoder = EncoderFactory.get().binaryEncoder(out, encoder);
      writer.write(example, encoder);
      encoder.flush();
      return out.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private BinaryDecoder datum(byte[] event) {
    decoder = DecoderFactory.get().binaryDecoder(event, PackedEvent.DATUM, event.length - PackedEvent.DATUM, decoder);
    return decoder;
  }
}
