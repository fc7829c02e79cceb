package trimtab.peers.contract;

import java.nio.ByteBuffer;

/** A framed event behind its place in the log: partition (4 bytes), offset (8), then the Confluent frame. */
public final class PackedEvent {

  static final int FRAME = 12;
  static final int DATUM = FRAME + 5;

  private PackedEvent() {}

  public static byte[] pack(int partition, long offset, byte[] framed) {
    return ByteBuffer.allocate(FRAME + framed.length).putInt(partition).putLong(offset).put(framed).array();
  }

  /** The schema id; those of the contract fit the last of its four bytes. */
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
