package import NIOCore
package import RPC

extension CallOptions {
  /// What is left of the incoming call, minus a margin to answer it, becomes the deadline of an outgoing one.
  ///
  /// An earlier deadline of these options stays; without any, there is none.
  ///
  /// - Parameter margin: kept for what comes after the outgoing call.
  package func within(_ context: ServerContext, margin: TimeAmount = .milliseconds(50)) -> CallOptions {
    within(context.deadline, margin: margin)
  }

  /// The same, by the incoming call's deadline.
  package func within(_ incoming: NIODeadline?, margin: TimeAmount) -> CallOptions {
    guard let incoming else { return self }
    let limit = incoming - margin
    var options = self
    options.deadline = deadline.map { min($0, limit) } ?? limit
    return options
  }
}
