extension GoogleProtobuf.Timestamp {
  /// An instant: seconds since 1970-01-01T00:00:00Z and the nanoseconds after that second, 0 to 999 999 999.
  package init(seconds: Int64, nanos: Int32 = 0) {
    self.init()
    self.seconds = seconds
    self.nanos = nanos
  }

  /// Whether it is an instant from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z, as timestamp.proto demands.
  package var isValid: Bool {
    (-62_135_596_800...253_402_300_799).contains(seconds) && (0...999_999_999).contains(nanos)
  }
}

extension GoogleProtobuf.Duration {
  /// A signed span of time; finer parts than nanoseconds are cut off.
  package init(_ duration: Swift.Duration) {
    self.init()
    seconds = duration.components.seconds
    nanos = Int32(duration.components.attoseconds / 1_000_000_000)
  }

  package var duration: Swift.Duration { .seconds(seconds) + .nanoseconds(Int64(nanos)) }

  /// Whether it is within ±10 000 years with parts of equal sign, as duration.proto demands.
  package var isValid: Bool {
    (-315_576_000_000...315_576_000_000).contains(seconds) && (-999_999_999...999_999_999).contains(nanos)
      && (seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0))
  }
}

extension GoogleProtobuf.FieldMask {
  /// A mask of field paths as the contract spells them, such as `first_name`.
  package init(paths: [String]) {
    self.init()
    self.paths = paths
  }
}
