internal import EncryptedStorage

extension SettingReader {
  /// Where the store's keys come from. The keys themselves are read when the store is opened.
  ///
  /// - Parameter isRequired: whether a store in clear is a fault: everywhere but in development.
  mutating func storeKeys(isRequired: Bool) -> KeySource? {
    let places: [(Found?, (String) -> KeySource)] = [
      (text(.storeKeyFile), KeySource.file),
      (text(.storeKeyVariable), KeySource.environment),
      (text(.storeKeyCommand), { KeySource.command($0.split(separator: " ").map(String.init)) }),
    ]
    let found = places.compactMap { found, make in found.map { (origin: $0.origin, keys: make($0.text)) } }
    if found.count > 1 {
      fault("\(found[0].origin) contradicts \(found[1].origin): the store's keys come from one place.")
    }
    if found.isEmpty, isRequired {
      fault("--store-key-file, the file with the keys that the store is encrypted under, is missing.")
    }
    if case .file(let path) = found.first?.keys, let problem = FileCheck.problem(withFile: path) {
      fault("The file \(path) of \(found[0].origin) \(problem).")
    }
    return found.first?.keys
  }
}

extension KeySource {
  /// Reads the keys.
  ///
  /// - Throws: a sentence for the operator, without any part of a key.
  func loaded() throws(LaunchFailure) -> KeyRing {
    do throws(KeyRingError) {
      return try load()
    } catch {
      throw LaunchFailure(.configuration, error.description)
    }
  }
}
