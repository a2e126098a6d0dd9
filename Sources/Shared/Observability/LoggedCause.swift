package import RPC

/// An error whose description holds nothing of a patient, a caller or their credentials, so that logs may quote it.
package protocol LogSafeError: Error {
  var logDescription: String { get }
}

extension RPCError: LogSafeError {
  package var logDescription: String {
    guard let cause else { return "\(code): \(message)" }
    return "\(code): \(message) <- \(LoggedCause.describe(cause))"
  }
}

extension WireMessageError: LogSafeError {
  package var logDescription: String { description }
}

/// Names the cause of a failure for a log. What errors of other modules and libraries say may quote the data they
/// failed on, so of those only the type and, of an enum, the name of its case are told.
package enum LoggedCause {
  package static func describe(_ error: any Error) -> String {
    if let error = error as? any LogSafeError { return String(error.logDescription.prefix(500)) }
    let type = String(reflecting: Swift.type(of: error))
    let mirror = Mirror(reflecting: error)
    guard mirror.displayStyle == .enum else { return type }
    // A case with values has one child, labelled with the case's name; one without describes itself by its name, unless
    // it was given a text of its own.
    if let name = mirror.children.first?.label { return "\(type).\(name)" }
    return error is any CustomStringConvertible ? type : "\(type).\(error)"
  }
}
