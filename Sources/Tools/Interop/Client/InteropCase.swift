/// The cases of gRPC's interop tests that this client runs, by the names of their descriptions.
enum InteropCase: String, CaseIterable {
  case emptyUnary = "empty_unary"
  case largeUnary = "large_unary"
  case clientStreaming = "client_streaming"
  case serverStreaming = "server_streaming"
  case pingPong = "ping_pong"
  case emptyStream = "empty_stream"
  case customMetadata = "custom_metadata"
  case statusCodeAndMessage = "status_code_and_message"
  case specialStatusMessage = "special_status_message"
  case unimplementedMethod = "unimplemented_method"
  case unimplementedService = "unimplemented_service"
  case cancelAfterBegin = "cancel_after_begin"
  case cancelAfterFirstResponse = "cancel_after_first_response"
  case timeoutOnSleepingServer = "timeout_on_sleeping_server"
  case clientCompressedUnary = "client_compressed_unary"
  case serverCompressedUnary = "server_compressed_unary"
  case clientCompressedStreaming = "client_compressed_streaming"
  case serverCompressedStreaming = "server_compressed_streaming"

  // Of our own.
  case statusEdges = "status_edges"
  case metadataEdges = "metadata_edges"
  case messageLimit = "message_limit"
  case manyCalls = "many_calls"
  case abandonedStreams = "abandoned_streams"
}

/// Why a case did not pass.
struct InteropFailure: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

/// - Throws: ``InteropFailure`` with both values unless they are equal.
func expect<Value: Equatable>(_ what: String, _ actual: Value, is expected: Value) throws(InteropFailure) {
  guard actual == expected else { throw InteropFailure("\(what) is \(actual) instead of \(expected).") }
}
