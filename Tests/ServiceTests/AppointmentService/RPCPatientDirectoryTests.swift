import Contract
import NIOCore
import RPC
import ServiceCore
import Testing

@testable import AppointmentService

@Suite("DOMAIN 9: the patient service over RPC")
struct RPCPatientDirectoryTests {
  static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

  private func directory(_ channel: ScriptedChannel) -> RPCPatientDirectory {
    var policy = RPCPatientDirectory.defaultPolicy
    policy.sleep = { _ in }
    return RPCPatientDirectory(channel: channel, policy: policy, now: { Self.start })
  }

  private func standing(
    _ channel: ScriptedChannel, deadline: NIODeadline? = nil, token: String? = nil
  ) async throws -> [PatientStanding] {
    try await directory(channel).standing(
      of: [Clinic.patient], clinician: "c", for: PatientDirectoryCaller(deadline: deadline, token: token))
  }

  static func answer(
    exists: Bool, _ status: PatientV1.PatientStatus, patient: String = Clinic.patient, count: Int = 1
  ) -> ScriptedChannel.Answer {
    { _ throws(RPCError) in
      var result = PatientV1.PatientReferenceResult()
      result.reference = PatientV1.PatientReference()
      result.reference?.patientId = patient
      result.reference?.userId = "c"
      result.exists = exists
      result.status = status
      var response = PatientV1.ValidatePatientReferencesResponse()
      response.results = Array(repeating: result, count: count)
      return response
    }
  }

  static func status(_ code: StatusCode, _ details: [ErrorDetail] = []) -> ScriptedChannel.Answer {
    { _ throws(RPCError) in throw RPCError(code, "upstream text", details: details) }
  }

  static let standings: [(Bool, PatientV1.PatientStatus, PatientStanding)] = [
    (true, .active, .active), (true, .inactive, .inactive), (false, .unspecified, .unknown),
  ]

  @Test("answers are read", arguments: standings)
  func answers(exists: Bool, status: PatientV1.PatientStatus, expected: PatientStanding) async throws {
    let channel = ScriptedChannel([Self.answer(exists: exists, status)])
    #expect(try await standing(channel, token: "t") == [expected])
    let call = try #require(channel.calls.first)
    #expect(call.path == "/clinicavoice.patient.v1.PatientService/ValidatePatientReferences")
    #expect(call.options.metadata["x-clinicavoice-on-behalf-of"] == "t")
  }

  static let garbage: [ScriptedChannel.Answer] = [
    answer(exists: true, .unspecified), answer(exists: true, .init(rawValue: 9)),
    answer(exists: true, .active, patient: "22222222-2222-4222-8222-222222222222"),
    answer(exists: true, .active, count: 2), answer(exists: true, .active, count: 0),
  ]

  @Test("an answer that does not fit its question is a fault, not a verdict", arguments: 0..<garbage.count)
  func garbled(index: Int) async throws {
    let error = await Result { try await standing(ScriptedChannel([Self.garbage[index]])) }.directoryError
    guard case .broken = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("only UNAVAILABLE is tried again, at most twice", arguments: StatusCode.allCases.filter { $0 != .ok })
  func retries(code: StatusCode) async throws {
    let channel = ScriptedChannel([Self.status(code)])
    _ = await Result { try await standing(channel) }
    #expect(channel.calls.count == (code == .unavailable ? 3 : 1))
  }

  @Test("a retry may succeed")
  func secondTry() async throws {
    let channel = ScriptedChannel([Self.status(.unavailable), Self.answer(exists: true, .active)])
    #expect(try await standing(channel) == [.active])
    #expect(channel.calls.count == 2)
  }

  @Test("statuses are translated as the table says", arguments: StatusCode.allCases.filter { $0 != .ok })
  func translation(code: StatusCode) async throws {
    let details: [ErrorDetail] = [.retryInfo(delay: .seconds(9))]
    let error = await Result { try await standing(ScriptedChannel([Self.status(code, details)])) }.directoryError
    let status = AppointmentError.directory(try #require(error)).rpcError
    switch code {
    case .unavailable, .resourceExhausted:
      #expect(status.code == .unavailable && status.details.contains(.retryInfo(delay: .seconds(9))))
    case .deadlineExceeded: #expect(status.code == .unavailable && status.reason == "PATIENT_SERVICE_UNAVAILABLE")
    default: #expect(status.code == .internal && status.reason == "INTERNAL")
    }
    #expect(!status.message.contains("upstream"))
  }

  @Test("the budget is two seconds, or what the caller has left")
  func budget() async throws {
    let channel = ScriptedChannel([Self.answer(exists: true, .active)])
    _ = try await standing(channel)
    _ = try await standing(channel, deadline: Self.start + .milliseconds(500))
    _ = try await standing(channel, deadline: Self.start + .seconds(60))
    #expect(
      channel.calls.map(\.options.deadline) == [
        Self.start + .seconds(2), Self.start + .milliseconds(500), Self.start + .seconds(2),
      ])
  }

  @Test("when the caller's own deadline is over the answer is DEADLINE_EXCEEDED")
  func callerDeadline() async throws {
    let channel = ScriptedChannel([Self.status(.deadlineExceeded)])
    let error = await Result { try await standing(channel, deadline: Self.start) }.directoryError
    #expect(AppointmentError.directory(try #require(error)).rpcError.code == .deadlineExceeded)
  }

  @Test("a pause that outlasts the budget is not made")
  func pause() async throws {
    let channel = ScriptedChannel([Self.status(.unavailable)])
    _ = await Result { try await standing(channel, deadline: Self.start) }
    #expect(channel.calls.count == 1)
  }

  @Test("a cancelled caller is not answered by retries")
  func cancelled() async throws {
    let channel = ScriptedChannel([Self.status(.unavailable)])
    let task = Task { () -> PatientDirectoryError? in
      withUnsafeCurrentTask { $0?.cancel() }
      return await Result { try await standing(channel) }.directoryError
    }
    guard case .cancelled = await task.value else {
      Issue.record("not cancelled")
      return
    }
    #expect(channel.calls.count == 1)
  }

  @Test("a portal identity's active records with the clinician are found over all pages")
  func identities() async throws {
    let channel = ScriptedChannel([
      Self.page([("p1", "c", .active, .active), ("p2", "other", .active, .active)], next: "n"),
      Self.page([("p3", "c", .inactive, .active), ("p4", "c", .active, .pending), ("p5", "c", .active, .active)]),
    ])
    let linked = try await directory(channel).linkedPatients(
      identity: "sub", clinician: "c", for: PatientDirectoryCaller())
    #expect(linked == ["p1", "p5"])
    let requests = channel.calls.compactMap { $0.request as? PatientV1.ResolvePatientIdentityRequest }
    #expect(requests.map(\.pageToken) == ["", "n"] && requests.allSatisfy { $0.cognitoUserId == "sub" })
  }

  @Test("a patient service that cannot resolve identities yet is unavailable to patients")
  func unimplemented() async throws {
    let channel = ScriptedChannel([Self.status(.unimplemented)])
    let error = await Result {
      try await directory(channel).linkedPatients(identity: "s", clinician: "c", for: PatientDirectoryCaller())
    }.directoryError
    #expect(AppointmentError.directory(try #require(error)).rpcError.reason == "PATIENT_SERVICE_UNAVAILABLE")
  }

  private static func page(
    _ records: [(String, String, PatientV1.PatientStatus, PatientV1.AccountStatus)], next: String = ""
  ) -> ScriptedChannel.Answer {
    { _ throws(RPCError) in
      var response = PatientV1.ResolvePatientIdentityResponse()
      response.nextPageToken = next
      response.identities = records.map { patient, clinician, status, account in
        var identity = PatientV1.PatientIdentity()
        identity.patientId = patient
        identity.userId = clinician
        identity.status = status
        identity.accountStatus = account
        return identity
      }
      return response
    }
  }
}

extension Result where Failure == any Error {
  var directoryError: PatientDirectoryError? {
    if case .failure(let error) = self { error as? PatientDirectoryError } else { nil }
  }
}
