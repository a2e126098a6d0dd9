internal import ProtobufBridge
internal import RPC
internal import StandardProtos
internal import Testing

@Suite("Status details")
struct StatusDetailsTests {
  private static let details: [ErrorDetail] = [
    .errorInfo(reason: "SLOT_CONFLICT", domain: "appointment.clinicavoice", metadata: ["a": "1", "b": ""]),
    .badRequest([.init(field: "requests[3].time", description: "No such time.", reason: "TIME_INVALID")]),
    .preconditionFailure([.init(type: "ETAG", subject: "appointment", description: "It changed.")]),
    .resourceInfo(type: "patient", name: "p1", description: "Gone."),
    .retryInfo(delay: .milliseconds(1500)),
    .other(typeURL: "type.googleapis.com/google.rpc.DebugInfo", value: [0x12, 1, 0x78]),
  ]

  @Test("details survive the way over the wire", arguments: details)
  func roundTrip(detail: ErrorDetail) throws {
    let error = RPCError(.failedPrecondition, "No.", details: [detail])
    let bytes = try #require(error.serializedStatusDetails())
    #expect(RPCError(code: .failedPrecondition, message: "No.", statusDetails: bytes).details == [detail])
  }

  @Test("an error without details has no bytes")
  func none() { #expect(RPCError(.notFound, "No.").serializedStatusDetails() == nil) }

  @Test("details of another code, or that do not parse, are dropped and the headers stay")
  func dropped() throws {
    let bytes = try #require(RPCError(.notFound, "A", details: Self.details).serializedStatusDetails())
    for (code, bytes) in [(StatusCode.aborted, bytes), (.notFound, Array(bytes.dropLast()))] {
      let error = RPCError(code: code, message: "B", statusDetails: bytes)
      #expect(error.code == code)
      #expect(error.message == "B")
      #expect(error.details.isEmpty)
    }
  }

  @Test("a typed detail that does not parse is kept as it came")
  func malformedDetail() throws {
    let any = GoogleProtobuf.AnyMessage.with {
      $0.typeUrl = "type.googleapis.com/google.rpc.RetryInfo"
      $0.value = [0x0a]
    }
    let status = GoogleRPC.Status.with {
      $0.code = 5
      $0.details = [any]
    }
    let error = RPCError(code: .notFound, message: "", statusDetails: try status.serializedBytes())
    #expect(error.details == [.other(typeURL: any.typeUrl, value: [0x0a])])
  }

  @Test(
    "durations keep sign and nanoseconds",
    arguments: [.zero, .seconds(-3), .milliseconds(-1500), .nanoseconds(1), .seconds(86_400)] as [Duration])
  func durations(duration: Duration) {
    let message = GoogleProtobuf.Duration(duration)
    #expect(message.isValid)
    #expect(message.duration == duration)
  }
}
