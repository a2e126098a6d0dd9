internal import CProtobuf

/// Memory that is handed out piece by piece and taken back as a whole.
///
/// The first piece comes from the thread's scratch block, so that a message of ordinary size costs no `malloc`. An
/// arena must therefore not outlive the synchronous call that made it.
@safe
package struct Arena: ~Copyable {
  private var next: UnsafeMutableRawPointer
  private var available: Int
  /// The blocks it had to allocate, each beginning with the address of the one before.
  private var blocks: UnsafeMutableRawPointer?
  private let ownsScratch: Bool

  package init() {
    if let scratch = unsafe clinicavoice_scratch_take() {
      unsafe next = scratch
      available = Int(CLINICAVOICE_SCRATCH_SIZE)
      unsafe blocks = nil
      ownsScratch = true
    } else {
      let block = UnsafeMutableRawPointer.allocate(byteCount: Self.blockSize, alignment: 16)
      unsafe block.storeBytes(of: nil, as: UnsafeMutableRawPointer?.self)
      unsafe next = block + Self.headerSize
      available = Self.blockSize - Self.headerSize
      unsafe blocks = block
      ownsScratch = false
    }
  }

  deinit {
    var last = unsafe blocks
    while let block = unsafe last {
      unsafe last = block.load(as: UnsafeMutableRawPointer?.self)
      unsafe block.deallocate()
    }
    if ownsScratch { clinicavoice_scratch_give() }
  }

  /// A piece of at least `byteCount` bytes, aligned to 8, with undefined content.
  package mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let size = (byteCount &+ 7) & ~7
    if size > available { grow(for: size) }
    defer {
      unsafe next += size
      available &-= size
    }
    return unsafe next
  }

  /// The same, filled with zeros.
  package mutating func allocateZeroed(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let piece = unsafe allocate(byteCount)
    unsafe piece.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    return unsafe piece
  }

  private static let blockSize = 64 * 1024
  private static let headerSize = 16

  @inline(never)
  private mutating func grow(for size: Int) {
    let total = max(Self.blockSize, size + Self.headerSize)
    let block = UnsafeMutableRawPointer.allocate(byteCount: total, alignment: 16)
    unsafe block.storeBytes(of: blocks, as: UnsafeMutableRawPointer?.self)
    unsafe blocks = block
    unsafe next = block + Self.headerSize
    available = total - Self.headerSize
  }
}
