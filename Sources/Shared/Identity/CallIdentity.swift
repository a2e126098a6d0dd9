package import RPC

/// Names of the metadata that carry identity between callers and services. Source: DESIGN 7.
package enum IdentityMetadata {
  /// `Bearer <JWT>` of the person who calls.
  package static let authorization = "authorization"
  /// The JWT of the caller for whom a service calls; verified again on arrival.
  package static let onBehalfOf = "x-clinicavoice-on-behalf-of"
  /// Names the call in logs, audit records and error reports.
  package static let correlationID = "x-correlation-id"
}

/// Where the outermost interceptor leaves the correlation id of a call.
package enum CorrelationIDKey: ServerContextKey {
  package typealias Value = String
}

extension ServerContext {
  /// Names this call in logs and error reports; goes back to the caller as `x-correlation-id`.
  package var correlationID: String? { self[CorrelationIDKey.self] }

  /// The metadata of a call to a peer service that this call gives rise to: for whom, and as part of what.
  ///
  /// The peer takes our own identity from our certificate.
  package var forwardedMetadata: Metadata {
    var metadata: Metadata = [:]
    if let token = self[PrincipalKey.self]?.forwardableToken {
      metadata.add(token, for: IdentityMetadata.onBehalfOf)
    }
    if let correlationID { metadata.add(correlationID, for: IdentityMetadata.correlationID) }
    return metadata
  }
}
