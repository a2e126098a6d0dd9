internal import CivilTime
internal import Contract
internal import RPC
internal import ServiceCore
internal import Storage

extension PatientServiceHandlers {
  /// Changes an existing patient in the order of DOMAIN 8: rules that need the clock, existence, etag, then what
  /// `change` says of the state.
  ///
  /// - Parameter change: changes the record and returns what else has to be written, or throws why it may not be
  ///   changed. A record that it leaves as it is keeps its version.
  func changePatient(
    _ id: ResourceID, in scope: ClinicianScope, etag: String, key: IdempotencyKey?, context: ServerContext,
    checkClock: () throws -> Void = {}, change: (inout PatientRecord) throws -> [Write]
  ) async throws -> PatientRecord {
    try await mutations.run(
      key, field: "patient", context: context,
      replay: { try await replayedPatient($0, in: scope) },
      decide: { _, now in
        try checkClock()
        let old = try await visiblePatient(id, in: scope)
        try Etag(version: old.version).check(etag, errors: errors)
        var new = old
        let more = try change(&new)
        guard new != old else { return .init(resources: [old.id], output: old) }
        new.touch(by: scope.actor, at: now)
        return .init(writes: [patients.replacement(of: old, by: new)] + more, resources: [new.id], output: new)
      })
  }
}
