internal import Contract
internal import ServiceCore

/// The fields of an appointment by their paths in the contract, for masks.
enum AppointmentPaths {
  private typealias Appointment = AppointmentV1.Appointment
  private typealias Copy = @Sendable (Appointment, inout Appointment) -> Void

  /// Always answered, whatever a mask says.
  private static let identity: Set<String> = ["id", "user_id", "version", "etag"]

  private static let fields: [String: Copy] = [
    "id": { $1.id = $0.id },
    "user_id": { $1.userId = $0.userId },
    "patient_id": { $1.patientId = $0.patientId },
    "date": { $1.date = $0.date },
    "time": { $1.time = $0.time },
    "duration": { $1.duration = $0.duration },
    "type": { $1.type = $0.type },
    "status": { $1.status = $0.status },
    "status_history": { $1.statusHistory = $0.statusHistory },
    "notes": { $1.notes = $0.notes },
    "notes_history": { $1.notesHistory = $0.notesHistory },
    "transcription_id": { $1.transcriptionId = $0.transcriptionId },
    "cancellation_reason": { $1.cancellationReason = $0.cancellationReason },
    "cancelled_at": { $1.cancelledAt = $0.cancelledAt },
    "cancelled_by": { $1.cancelledBy = $0.cancelledBy },
    "created_at": { $1.createdAt = $0.createdAt },
    "updated_at": { $1.updatedAt = $0.updatedAt },
    "created_by": { $1.createdBy = $0.createdBy },
    "updated_by": { $1.updatedBy = $0.updatedBy },
    "version": { $1.version = $0.version },
    "etag": { $1.etag = $0.etag },
    "time_zone": { $1.timeZone = $0.timeZone },
    "fold": { $1.fold = $0.fold },
    "start_time": { $1.startTime = $0.startTime },
    "end_time": { $1.endTime = $0.endTime },
    "reschedule_history": { $1.rescheduleHistory = $0.rescheduleHistory },
  ]

  static var all: Set<String> { Set(fields.keys) }

  /// What a read mask asks for; `nil`: everything.
  struct ReadMask: Sendable, Hashable {
    fileprivate let paths: Set<String>?

    /// Notes a violation for each unknown path.
    init(_ paths: [String]?, at field: String, _ violations: inout FieldViolations) {
      guard let paths, !paths.isEmpty, paths != ["*"] else {
        self.paths = nil
        return
      }
      for (index, path) in paths.enumerated() where fields[path] == nil {
        violations.add(.unknownField, at: "\(field).paths[\(index)]", "An appointment has no such field.")
      }
      self.paths = Set(paths).union(identity)
    }

    func apply(to appointment: AppointmentV1.Appointment) -> AppointmentV1.Appointment {
      guard let paths else { return appointment }
      var result = AppointmentV1.Appointment()
      for path in paths { fields[path]?(appointment, &result) }
      return result
    }
  }
}
