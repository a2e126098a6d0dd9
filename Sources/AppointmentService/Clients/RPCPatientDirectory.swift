internal import Contract
internal import Identity
internal import NIOCore
internal import RPC
internal import ServiceCore

/// The patient service behind its RPCs: budget, retries and the translation of its answers (DOMAIN 9).
struct RPCPatientDirectory: PatientDirectory {
  private let client: PatientV1.PatientServiceClient
  private let policy: RetryPolicy
  private let random: RandomSource
  private let now: @Sendable () -> NIODeadline

  /// The longest that a caller waits for the patient service.
  static let budget = TimeAmount.seconds(2)
  /// Carries the caller's token to the patient service (DESIGN 7).
  static let onBehalfOf = "x-clinicavoice-on-behalf-of"
  /// One call and at most two retries.
  static let defaultPolicy = RetryPolicy(attempts: 3, baseDelay: .milliseconds(40), maxDelay: .milliseconds(200))

  init(
    channel: any RPCChannel, policy: RetryPolicy = Self.defaultPolicy, random: RandomSource = .system,
    now: @escaping @Sendable () -> NIODeadline = { .now() }
  ) {
    client = PatientV1.PatientServiceClient(channel: channel)
    self.policy = policy
    self.random = random
    self.now = now
  }

  func standing(
    of patients: [String], clinician: String, for caller: PatientDirectoryCaller
  ) async throws(PatientDirectoryError) -> [PatientStanding] {
    var request = PatientV1.ValidatePatientReferencesRequest()
    request.references = patients.map { patient in
      var reference = PatientV1.PatientReference()
      reference.patientId = patient
      reference.userId = clinician
      return reference
    }
    let asked = request
    let response = try await call(for: caller) { (options) async throws(RPCError) in
      try await client.validatePatientReferences(asked, options: options)
    }
    guard response.results.count == patients.count else { throw .broken(cause: GarbledAnswer()) }
    var standings: [PatientStanding] = []
    for (reference, result) in zip(request.references, response.results) {
      guard result.reference?.patientId.lowercased() == reference.patientId,
        result.reference?.userId == reference.userId
      else { throw .broken(cause: GarbledAnswer()) }
      switch (result.exists, result.status) {
      case (false, _): standings.append(.unknown)
      case (true, .active): standings.append(.active)
      case (true, .inactive): standings.append(.inactive)
      default: throw .broken(cause: GarbledAnswer())
      }
    }
    return standings
  }

  func linkedPatients(
    identity: String, clinician: String, for caller: PatientDirectoryCaller
  ) async throws(PatientDirectoryError) -> Set<String> {
    var request = PatientV1.ResolvePatientIdentityRequest()
    request.cognitoUserId = identity
    request.pageSize = 200
    var patients: Set<String> = []
    // One record for each clinician: more than a few pages is no answer that makes sense.
    for _ in 0..<10 {
      let asked = request
      let response = try await call(for: caller, unimplementedIsUnavailable: true) {
        (options) async throws(RPCError) in
        try await client.resolvePatientIdentity(asked, options: options)
      }
      for identity in response.identities
      where identity.userId == clinician && identity.status == .active && identity.accountStatus == .active {
        patients.insert(identity.patientId)
      }
      if response.nextPageToken.isEmpty { return patients }
      request.pageToken = response.nextPageToken
    }
    throw .broken(cause: GarbledAnswer())
  }

  /// An answer that does not fit its question.
  struct GarbledAnswer: Error {}
}

extension RPCPatientDirectory {
  /// Calls within min(what the caller has left, our budget), and again only when the service was unreachable.
  ///
  /// - Parameter unimplementedIsUnavailable: for what patients read: without that RPC they are told to come again.
  private func call<Answer: Sendable>(
    for caller: PatientDirectoryCaller, unimplementedIsUnavailable: Bool = false,
    _ body: (CallOptions) async throws(RPCError) -> Answer
  ) async throws(PatientDirectoryError) -> Answer {
    var options = CallOptions(deadline: min(now() + Self.budget, caller.deadline ?? .distantFuture))
    if let token = caller.token { options.metadata.add(token, for: Self.onBehalfOf) }
    if let id = caller.correlationID { options.metadata.add(id, for: IdentityMetadata.correlationID) }
    var attempt = 1
    while true {
      do throws(RPCError) {
        return try await body(options)
      } catch {
        let failure = translate(error, for: caller, unimplementedIsUnavailable: unimplementedIsUnavailable)
        guard error.code == .unavailable, attempt < policy.attempts, !Task.isCancelled else { throw failure }
        let pause = policy.delay(after: attempt, random: random)
        // A pause that outlasts the budget would only make the caller wait for the same answer.
        guard let deadline = options.deadline, now() + TimeAmount(pause) < deadline else { throw failure }
        do { try await policy.sleep(pause) } catch { throw .cancelled }
        attempt += 1
      }
    }
  }

  /// The table of DOMAIN 9.
  private func translate(
    _ error: RPCError, for caller: PatientDirectoryCaller, unimplementedIsUnavailable: Bool
  ) -> PatientDirectoryError {
    switch error.code {
    case _ where Task.isCancelled: .cancelled
    case .unavailable, .resourceExhausted: .unavailable(retryAfter: error.retryDelay, cause: error)
    case .deadlineExceeded:
      if let deadline = caller.deadline, deadline <= now() {
        .callerDeadlineExceeded
      } else {
        .unavailable(retryAfter: nil, cause: error)
      }
    case .unimplemented where unimplementedIsUnavailable: .unavailable(retryAfter: nil, cause: error)
    // A configuration fault between the services, a bug of one, or garbage: not for the caller to know.
    case .ok, .cancelled, .unknown, .invalidArgument, .notFound, .alreadyExists, .permissionDenied,
      .failedPrecondition, .aborted, .outOfRange, .unimplemented, .internal, .dataLoss, .unauthenticated:
      .broken(cause: error)
    }
  }
}

extension RPCError {
  /// What the peer's `RetryInfo` asks for.
  fileprivate var retryDelay: Duration? {
    for case .retryInfo(let delay) in details { return delay }
    return nil
  }
}
