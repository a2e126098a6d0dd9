internal import NIOCore

#if os(Linux)
  #if canImport(Musl)
    internal import Musl
  #else
    internal import Glibc
  #endif

  /// Stream sockets in Linux' abstract namespace (unix(7)), whose addresses end where their name ends; NIO's addresses
  /// always have the full length, and so name another socket.
  enum AbstractSocket {
    /// Connects without waiting: such a connection is there at once or not at all.
    ///
    /// - Throws: `IOError`.
    static func connect(to name: String) throws -> CInt {
      #if canImport(Musl)
        let type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
      #else
        let type = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      #endif
      let descriptor = socket(AF_UNIX, type, 0)
      guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let bytes = [0] + Array(name.utf8)
      let room = MemoryLayout.size(ofValue: address.sun_path)
      guard bytes.count <= room else {
        close(descriptor)
        throw IOError(errnoCode: ENAMETOOLONG, reason: "connect")
      }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
      let length = socklen_t(MemoryLayout<sockaddr_un>.size - room + bytes.count)
      let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { systemConnect(descriptor, $0, length) }
      }
      guard result == 0 else {
        let code = errno
        close(descriptor)
        throw IOError(errnoCode: code, reason: "connect")
      }
      return descriptor
    }

    private static func systemConnect(
      _ descriptor: CInt, _ address: UnsafePointer<sockaddr>, _ length: socklen_t
    ) -> CInt {
      #if canImport(Musl)
        Musl.connect(descriptor, address, length)
      #else
        Glibc.connect(descriptor, address, length)
      #endif
    }
  }
#endif
