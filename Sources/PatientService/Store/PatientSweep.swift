internal import Storage

/// Compares all items of the table with each other: that each patient is readable and that the record numbers'
/// sentinels and the patients name each other, for `verify`.
struct PatientSweep: ItemSweep {
  enum Finding: Sendable, Hashable {
    /// An item that does not have its own form.
    case unreadable(ItemKey)
    /// A record number's sentinel and the patient do not name each other.
    case recordNumberDiffers(patient: String)
  }

  /// Record numbers by patient, as patients and as sentinels say.
  private var patients: [String: String] = [:]
  private var sentinels: [String: String] = [:]
  private var found: [Finding] = []

  mutating func add(_ item: Item, of table: TableSchema) {
    guard let partition = item["id"]?.stringValue, let sort = item["userId"]?.stringValue else { return }
    switch partition.split(separator: "#", maxSplits: 1).first.map(String.init) {
    case "mrn":
      guard let patient = item["patientId"]?.stringValue else {
        found.append(.unreadable(ItemKey("mrn", sort)))
        return
      }
      if sentinels.updateValue(String(partition.dropFirst(4)), forKey: patient) != nil {
        found.append(.recordNumberDiffers(patient: patient))
      }
    case .some where partition.contains("#"): break
    default:
      do throws(PatientItem.Malformed) {
        let record = try PatientItem.decode(item)
        if patients.updateValue(record.mrn, forKey: record.id) != nil {
          found.append(.recordNumberDiffers(patient: record.id))
        }
      } catch {
        found.append(.unreadable(ItemKey(partition, sort)))
      }
    }
  }

  consuming func findings() -> [Finding] {
    for patient in Set(patients.keys).union(sentinels.keys) where patients[patient] != sentinels[patient] {
      found.append(.recordNumberDiffers(patient: patient))
    }
    return found
  }

  consuming func problems() -> [String] {
    findings().map { finding in
      switch finding {
      case .unreadable(let key): "item \(key.partition) does not have the form of its kind"
      case .recordNumberDiffers(let id): "patient \(id) and the sentinel of its record number differ"
      }
    }
  }
}
