internal import EmbeddedEngine
internal import Observability
internal import Storage

extension EmbeddedStore {
  /// Opens the store.
  ///
  /// - Throws: a sentence for the operator.
  static func opened(_ configuration: Configuration) async throws(LaunchFailure) -> EmbeddedStore {
    do throws(EmbeddedStoreError) {
      return try await open(configuration)
    } catch {
      throw LaunchFailure(error.kind, error.description)
    }
  }
}

extension EmbeddedStoreError {
  var kind: LaunchFailure.Kind {
    switch self {
    case .inUse, .failed, .keyNotHeld, .keys(.busy), .keys(.sqlite): .unavailable
    case .keys(.damaged), .missing: .data
    case .directory, .directoryTooOpen, .newerFormat, .notAStore, .otherEnvironment, .tableChanged, .keys:
      .configuration
    }
  }
}

/// The texts of these errors hold no data (see ``StoreError``), so the cause of a failed call can be told in full.
extension StoreError: LogSafeError {
  package var logDescription: String {
    switch self {
    case .conditionFailed(let places): "the conditions of the writes \(places) did not hold"
    case .conflict: "another transaction was faster"
    case .itemTooLarge(let index): "the item of write \(index) is too large"
    case .overloaded: "more work is queued than the store accepts"
    case .unavailable(let text): "unavailable: \(text)"
    case .corrupt(let text): "corrupt: \(text)"
    case .invalidRequest(let text): "invalid request: \(text)"
    }
  }
}

extension EmbeddedStoreError: LogSafeError {
  package var logDescription: String { description }
}
