/// Why a process cannot start or go on: one clear sentence for each fault, and the code to exit with.
package struct LaunchFailure: Error, Sendable, Hashable {
  /// Exit codes of sysexits.h.
  package enum Kind: Int32, Sendable {
    /// EX_DATAERR: what is stored is not what was written.
    case data = 65
    /// EX_UNAVAILABLE: something that the process needs is taken or out of reach.
    case unavailable = 69
    /// EX_SOFTWARE: a fault of ours.
    case software = 70
    /// EX_CONFIG: what the operator said cannot work.
    case configuration = 78
  }

  package var kind: Kind
  /// At least one.
  package var sentences: [String]

  package init(_ kind: Kind, _ sentences: String...) {
    self.init(kind, sentences)
  }

  package init(_ kind: Kind, _ sentences: [String]) {
    self.kind = kind
    self.sentences = sentences
  }
}
