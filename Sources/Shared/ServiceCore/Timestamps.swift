package import CivilTime
package import StandardProtos

extension GoogleProtobuf.Timestamp {
  package init(_ instant: Instant) {
    self.init()
    seconds = instant.seconds
    nanos = instant.nanoseconds
  }
}

extension Instant {
  /// - Returns: `nil` when the timestamp is not one of the years 1…9999.
  package init?(_ timestamp: GoogleProtobuf.Timestamp) {
    self.init(seconds: timestamp.seconds, nanoseconds: timestamp.nanos)
  }
}
