package trimtab.peers.contract;

import java.nio.ByteBuffer;

/** A framed event after its position in the log: partition (4 bytes), offset (8), then the Confluent frame. */
public final class PackedEvent {

  static final int FRAME = 12;
  static final int DATUM = FRAME + 5;

  private PackedEvent() {}

  public static byte[] pack(int partition, long offset, byte[] framed) {
    return ByteBuffer.allocate(FRAME + framed.length).putInt(partition).putLong(offset).put(framed).array();
  }

  /** The schema id; all ids of the contract fit in the last of its four bytes. */
  public static byte schemaId(byte[] event) {
    return event[DATUM - 1];
  }

  static int partition(byte[] event) {
    return ByteBuffer.wrap(event).getInt();
  }

  static long offset(byte[] event) {
    return ByteBuffer.wrap(event).getLong(4);
  }
}
