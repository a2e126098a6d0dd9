import NIOCore
import RPC
import Synchronization

/// A channel that answers unary calls from a script and notes what was asked.
final class ScriptedChannel: RPCChannel {
  struct Call: Sendable {
    var path: String
    var request: any WireMessage
    var options: CallOptions
  }
  typealias Answer = @Sendable (Call) throws(RPCError) -> any WireMessage

  private let log = Mutex<[Call]>([])
  private let answers: [Answer]

  /// The last answer is given again and again.
  init(_ answers: [Answer]) { self.answers = answers }

  var calls: [Call] { log.withLock { $0 } }

  func unary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions
  ) async throws(RPCError) -> ClientResponse<Output> {
    let call = Call(path: method.path, request: request, options: options)
    let index = log.withLock { log in
      log.append(call)
      return min(log.count, answers.count) - 1
    }
    guard let message = try answers[index](call) as? Output else {
      throw RPCError(.internal, "The script answers another message.")
    }
    return ClientResponse(message: message, initialMetadata: [:], trailingMetadata: [:])
  }

  func serverStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, _ request: Input, options: CallOptions,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result { throw RPCError(.unimplemented, "unary only") }

  func clientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void
  ) async throws(RPCError) -> ClientResponse<Output> { throw RPCError(.unimplemented, "unary only") }

  func bidirectionalStreaming<Input, Output, Result: Sendable>(
    _ method: MethodDescriptor<Input, Output>, options: CallOptions,
    requests: @escaping @Sendable (RequestWriter<Input>) async throws -> Void,
    body: @Sendable (ClientStream<Output>) async throws -> Result
  ) async throws -> Result { throw RPCError(.unimplemented, "unary only") }
}
