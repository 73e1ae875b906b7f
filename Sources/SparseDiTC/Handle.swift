import Glibc

/// An object that a host holds through an opaque pointer of the C interface.
protocol HostObject: AnyObject {
  /// Tells this kind of handle from others and from foreign memory. Unlikely as text, as a pointer
  /// and as a number.
  static var mark: UInt64 { get }
}

/// What the opaque pointers point to. It is apart from the Swift object, so that a pointer can be
/// examined before it is believed.
private struct Handle {
  var mark: UInt64
  /// The process that made the handle: threads and locks do not survive a fork.
  var process: pid_t
  /// Holds one reference.
  var object: UnsafeMutableRawPointer
}

extension HostObject {
  /// A new handle, which keeps the object alive until ``destroy(handle:)``.
  func makeHandle() -> OpaquePointer {
    let handle = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
    handle.initialize(
      to: Handle(
        mark: Self.mark, process: getpid(), object: Unmanaged.passRetained(self).toOpaque()))
    return OpaquePointer(handle)
  }

  /// The object behind a handle; nil for NULL, another kind of handle, one of another process, and,
  /// where the memory still shows it, for one that was destroyed or never was a handle.
  ///
  /// The caller holds a reference of its own, so a call that runs while its handle is destroyed
  /// ends on an object that is alive.
  static func object(of handle: OpaquePointer?) -> Self? {
    guard let live = live(handle) else { return nil }
    return Unmanaged<Self>.fromOpaque(live.pointee.object).takeUnretainedValue()
  }

  /// Lets go of the object. Nothing happens where ``object(of:)`` is nil.
  static func destroy(handle: OpaquePointer?) {
    guard let live = live(handle) else { return }
    let object = Unmanaged<Self>.fromOpaque(live.pointee.object)
    // The compiler would leave out a plain store, since the memory is freed right after it.
    explicit_bzero(live, MemoryLayout<Handle>.size)
    live.deallocate()
    object.release()
  }

  private static func live(_ pointer: OpaquePointer?) -> UnsafeMutablePointer<Handle>? {
    guard let pointer else { return nil }
    let address = UInt(bitPattern: pointer)
    // Misaligned or in the first page: never memory of ours, and not safe to read.
    guard address >= 4096, address % UInt(MemoryLayout<Handle>.alignment) == 0 else { return nil }
    let handle = UnsafeMutablePointer<Handle>(pointer)
    let mark = UnsafeRawPointer(handle).load(as: UInt64.self)
    guard mark == Self.mark, handle.pointee.process == getpid() else { return nil }
    return handle
  }
}
