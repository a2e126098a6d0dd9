internal import NIOCore
package import RPC

/// Makes every failure of a call a status in the form of DOMAIN 10: with `ErrorInfo{reason, domain}`, and without
/// anything of an error that nobody mapped.
///
/// Stands inside the call log, so that the log says what the caller is told.
package struct ErrorShapingInterceptor: ServerInterceptor {
  private let domain: String

  /// - Parameter domain: of this process's errors, such as `patient.clinicavoice`.
  package init(domain: String) { self.domain = domain }

  package var seesRefusedCalls: Bool { true }

  package func intercept(_ context: ServerContext, next: () async throws -> Void) async throws {
    do {
      try await next()
    } catch {
      throw Self.shaped(error, domain: domain, isPastDeadline: context.deadline.map { $0 <= .now() } ?? false)
    }
  }

  static func shaped(_ error: any Error, domain: String, isPastDeadline: Bool) -> RPCError {
    var shaped: RPCError
    switch error {
    case let error as RPCError: shaped = error
    case let error as any RPCErrorConvertible: shaped = error.rpcError
    case is CancellationError:
      // The runtime cancels a call at its deadline as well.
      shaped =
        isPastDeadline
        ? RPCError(.deadlineExceeded, "The deadline passed.") : RPCError(.cancelled, "The call was cancelled.")
    default: shaped = RPCError(.internal, "The server failed in an unexpected way.", cause: error)
    }
    // A status that is no failure cannot be thrown; whoever does has a bug.
    if shaped.code == .ok { shaped = RPCError(.internal, "The server failed in an unexpected way.", cause: error) }
    return shaped.withErrorInfo(domain: domain)
  }
}
