internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore
internal import Storage

extension PatientServiceHandlers {
  static let maxReferences = 100

  /// Says of each reference whether the clinician has that patient. Rules: DOMAIN 1 and 9.
  ///
  /// When the service carries its caller, a reference outside of that caller's partition does not exist.
  func validatePatientReferences(
    _ request: PatientV1.ValidatePatientReferencesRequest, context: ServerContext
  ) async throws -> PatientV1.ValidatePatientReferencesResponse {
    let principal = try context.principal
    guard principal.role == .service else { throw errors.roleNotAllowed() }
    var violations = FieldViolations()
    let keys = referenceKeys(request.references, &violations)
    try violations.check(errors: errors)

    let caller = principal.effectiveCaller
    let asked = Set(keys.filter { caller.mayEnter(partition: $0.sort) })
    let found = try await patients.patients(Array(asked)).filter { caller.mayKnow(of: $0) }
    let records = Dictionary(found.map { (ItemKey($0.id, $0.userId), $0) }, uniquingKeysWith: { first, _ in first })
    var response = PatientV1.ValidatePatientReferencesResponse()
    response.results = zip(request.references, keys).map { reference, key in
      PatientV1.PatientReferenceResult(reference, of: records[key])
    }
    return response
  }

  private func referenceKeys(
    _ references: [PatientV1.PatientReference], _ violations: inout FieldViolations
  ) -> [ItemKey] {
    if references.isEmpty {
      violations.add(.required, at: "references", "At least one reference is required.")
    } else if references.count > Self.maxReferences {
      violations.add(.tooLong, at: "references", "At most \(Self.maxReferences) references are allowed.")
      return []
    }
    var keys: [ItemKey] = []
    for (index, reference) in references.enumerated() {
      let path = FieldPath("references")[index]
      let id = violations.id(reference.patientId, at: path.field("patient_id"))
      if reference.userId.isEmpty {
        violations.add(.required, at: path.field("user_id"), "The clinician must be named.")
      } else if reference.userId.utf8.count > ClinicianScope.maxUserIdBytes {
        violations.add(
          .tooLong, at: path.field("user_id"),
          "A clinician's id has at most \(ClinicianScope.maxUserIdBytes) bytes.")
      } else if let id {
        keys.append(PatientTable.key(id: id.description, userId: reference.userId))
      }
    }
    return keys
  }
}

extension Principal.Caller {
  /// Whether the caller may learn that a record of a partition it may enter exists.
  fileprivate func mayKnow(of record: PatientRecord) -> Bool {
    role == .patient ? record.isVisible(toIdentity: id) : true
  }
}

extension PatientV1.PatientReferenceResult {
  fileprivate init(_ reference: PatientV1.PatientReference, of record: PatientRecord?) {
    self.init()
    self.reference = reference
    guard let record else { return }
    exists = true
    status = .init(record.status)
    version = record.version
  }
}
