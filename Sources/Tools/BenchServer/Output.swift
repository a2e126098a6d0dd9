#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Makes what was printed visible to whoever reads the other end of a pipe.
func fflushOutput() { fflush(nil) }
