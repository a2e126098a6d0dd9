internal import FoundationEssentials

/// Looks at what the operator named, so that a fault is told before anything starts.
enum FileCheck {
  /// The end of a sentence that begins with the file; `nil` if it can be read.
  static func problem(withFile path: String) -> String? {
    var isDirectory = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return "does not exist" }
    if isDirectory { return "is a directory" }
    return FileManager.default.isReadableFile(atPath: path) ? nil : "cannot be read"
  }

  /// Whether a path names a directory or something below it.
  static func isInside(_ path: String, _ directory: String) -> Bool {
    let path = URL(filePath: path).standardizedFileURL.pathComponents
    return path.starts(with: URL(filePath: directory).standardizedFileURL.pathComponents)
  }

  /// The end of a sentence that begins with the directory; `nil` if it can be written, or made.
  static func problem(withDirectory path: String) -> String? {
    var place = URL(filePath: path).standardizedFileURL.path
    var isDirectory = false
    var isThere = FileManager.default.fileExists(atPath: place, isDirectory: &isDirectory)
    let exists = isThere
    while !isThere, place != "/", let end = place.lastIndex(of: "/") {
      place = end == place.startIndex ? "/" : String(place[..<end])
      isThere = FileManager.default.fileExists(atPath: place, isDirectory: &isDirectory)
    }
    if !isDirectory { return exists ? "is not a directory" : "cannot be made, since \(place) is not a directory" }
    if FileManager.default.isWritableFile(atPath: place) { return nil }
    return exists ? "cannot be written" : "cannot be made, since \(place) cannot be written"
  }
}
