/// What one message may cost while it is decoded.
package enum DecodingLimits {
  /// The memory that C structs, tables and copies may take, for a message of `byteCount` bytes.
  ///
  /// Proportional, so that a small hostile message cannot make us allocate a lot. An ordinary message takes two to six
  /// times its size; the constant part lets short lists of short elements be.
  package static func memory(forMessageOf byteCount: Int) -> Int { 64 * 1024 + 8 * byteCount }

  /// How deeply messages and groups may be nested, the limit of other implementations as well.
  package static let depth = 100
}
