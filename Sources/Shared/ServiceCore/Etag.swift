package import RPC

/// A strong entity tag: the version of a resource in double quotes. Source: DOMAIN 8.
package struct Etag: Sendable, Hashable, CustomStringConvertible {
  package let version: Int64

  package init(version: Int64) { self.version = version }

  package var description: String { "\"\(version)\"" }

  /// Compares with what a request expects; an empty `expected` expects nothing.
  ///
  /// - Throws: `ABORTED`, `ETAG_MISMATCH`, with the current etag in the metadata of its `ErrorInfo`.
  package func check(_ expected: String, errors: ServiceErrors) throws(RPCError) {
    if !expected.isEmpty, expected != description { throw errors.etagMismatch(current: self) }
  }
}
