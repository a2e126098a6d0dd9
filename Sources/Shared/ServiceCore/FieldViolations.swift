package import RPC

/// Collects everything that is wrong with a request, so that its caller learns all of it at once.
///
/// Source: DOMAIN 8 ("all violations at once") and 10.
package struct FieldViolations: Sendable {
  /// In the order in which they were found.
  package private(set) var all: [ErrorDetail.FieldViolation] = []
  /// What the `ErrorInfo` says beside its reason, such as the first valid time after a gap.
  private var metadata: [String: String] = [:]

  /// The most that is reported, encoded: the details of a status travel in a header, and peers bound those.
  package static let maxReportedBytes = 4096

  package init() {}

  package var isEmpty: Bool { all.isEmpty }

  /// - Parameters:
  ///   - field: a proto path such as `patient.address.city` or `requests[3].appointment.time`.
  ///   - description: the rule that is broken, never the value.
  ///   - metadata: for the `ErrorInfo`; of several violations the first one's count.
  package mutating func add(
    _ reason: FieldReason, at field: String, _ description: String, metadata: [String: String] = [:]
  ) {
    all.append(.init(field: field, description: description, reason: reason.rawValue))
    self.metadata.merge(metadata) { first, _ in first }
  }

  /// - Throws: `INVALID_ARGUMENT`, `VALIDATION_FAILED`, if there is any violation.
  package func check(errors: ServiceErrors) throws(RPCError) {
    if !isEmpty { throw error(errors: errors) }
  }

  /// The status that reports them. When they are too many, the first are reported and `violation_count` in the
  /// metadata of the `ErrorInfo` is their true number.
  package func error(errors: ServiceErrors, cause: (any Error)? = nil) -> RPCError {
    let reported = reportable
    var metadata = metadata
    if reported.count < all.count { metadata["violation_count"] = String(all.count) }
    return errors.make(
      .validationFailed,
      "The request is not valid: \(reported.first?.field ?? "it")\(all.count > 1 ? " and others" : "").",
      metadata: metadata, details: [.badRequest(reported)], cause: cause)
  }
}

extension FieldViolations {
  /// The first of them, as far as they fit.
  private var reportable: [ErrorDetail.FieldViolation] {
    var bytes = 0
    return Array(
      all.prefix { violation in
        // Three strings with tag and length, and the violation's own tag and length.
        bytes += violation.field.utf8.count + violation.description.utf8.count + violation.reason.utf8.count + 12
        return bytes <= Self.maxReportedBytes
      })
  }
}

/// A path of field names into a request, such as `requests[3].appointment`.
package struct FieldPath: Sendable, Hashable, CustomStringConvertible {
  package let description: String

  package init(_ path: String) { description = path }

  package func field(_ name: String) -> String { description.isEmpty ? name : "\(description).\(name)" }
  package func child(_ name: String) -> FieldPath { FieldPath(field(name)) }
  package subscript(index: Int) -> FieldPath { FieldPath("\(description)[\(index)]") }
}
