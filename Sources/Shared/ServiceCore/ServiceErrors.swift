package import RPC
package import Storage

/// Makes the statuses of one service: the code that belongs to the reason, and an `ErrorInfo` with its domain.
///
/// Messages are for developers: English, and without personal data, tokens or field values. Source: DOMAIN 10.
package struct ServiceErrors: Sendable, Hashable {
  package let domain: ServiceDomain

  package init(domain: ServiceDomain) { self.domain = domain }

  /// - Parameters:
  ///   - metadata: of the `ErrorInfo`, such as the current etag.
  ///   - details: what comes after the `ErrorInfo`. A `RetryInfo` is added where repeating the call may help.
  package func make(
    _ reason: ErrorReason, _ message: String, metadata: [String: String] = [:], details: [ErrorDetail] = [],
    cause: (any Error)? = nil
  ) -> RPCError {
    var all: [ErrorDetail] = [.errorInfo(reason: reason.rawValue, domain: domain.rawValue, metadata: metadata)]
    all += details
    if let delay = reason.retryDelay { all.append(.retryInfo(delay: delay)) }
    return RPCError(reason.code, message, details: all, cause: cause)
  }

  /// For an unknown id and for one outside the caller's partition alike: nothing but the id asked for may differ.
  ///
  /// - Parameter type: the resource's name in the contract, such as `Patient`.
  package func notFound(_ reason: ErrorReason, type: String, id: String) -> RPCError {
    make(reason, "No such \(Self.words(type)).", details: [.resourceInfo(type: type, name: id)])
  }

  package func roleNotAllowed() -> RPCError {
    make(.roleNotAllowed, "The caller's role may not call this method.")
  }

  package func partitionNotAllowed() -> RPCError {
    make(.partitionNotAllowed, "The caller may not act for the clinician that user_id names.")
  }

  /// - Parameter current: the entity tag that the resource has now.
  package func etagMismatch(current: Etag) -> RPCError {
    make(.etagMismatch, "The resource has changed; read it again.", metadata: ["etag": current.description])
  }

  package func contention(cause: (any Error)? = nil) -> RPCError {
    make(.contention, "Too many changes at the same time; repeat the whole operation.", cause: cause)
  }

  /// A stored item that breaks the rules of its own layout.
  ///
  /// - Parameter cause: logged; names attributes, never their values.
  package func recordCorrupt(cause: (any Error)? = nil) -> RPCError {
    make(.recordCorrupt, "A stored record cannot be read.", cause: cause)
  }

  package func internalFault(cause: (any Error)? = nil) -> RPCError {
    make(.internal, "The service failed in an unexpected way.", cause: cause)
  }

  /// The status for what the table store says.
  ///
  /// A failed condition that nobody interpreted counts as contention: something else changed the items.
  ///
  /// - Parameter field: the request's field that holds the resource, named when an item grew too large.
  package func store(_ error: StoreError, field: String) -> RPCError {
    switch error {
    case .conditionFailed, .conflict: return contention(cause: error)
    case .itemTooLarge:
      var violations = FieldViolations()
      violations.add(.itemTooLarge, at: field, "Its stored form would exceed \(StoreLimits.itemBytes) bytes.")
      return violations.error(errors: self, cause: error)
    case .overloaded: return make(.overloaded, "The store has too much to do.", cause: error)
    case .unavailable: return make(.storeUnavailable, "The store is not available.", cause: error)
    case .corrupt: return recordCorrupt(cause: error)
    case .invalidRequest: return internalFault(cause: error)
    }
  }

  /// `TimeBlock` → `time block`.
  private static func words(_ type: String) -> String {
    type.reduce(into: "") { words, letter in
      if letter.isUppercase, !words.isEmpty { words.append(" ") }
      words += letter.lowercased()
    }
  }
}

extension TableStore {
  /// ``get(_:from:)``, with the store's errors as statuses.
  package func item(
    _ key: ItemKey, in table: TableSchema, errors: ServiceErrors, field: String = ""
  ) async throws(RPCError) -> Item? {
    do { return try await get(key, from: table) } catch { throw errors.store(error, field: field) }
  }
}
