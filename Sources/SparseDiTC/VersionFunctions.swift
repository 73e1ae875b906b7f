import CSparseDiT
import Glibc

@_cdecl("sparsedit_version")
@implementation
public func sparsedit_version() -> UInt32 { UInt32(SPARSEDIT_VERSION) }

@_cdecl("sparsedit_abi_version")
@implementation
public func sparsedit_abi_version() -> UInt32 { UInt32(SPARSEDIT_ABI_VERSION) }

@_cdecl("sparsedit_status_name")
@implementation
public func sparsedit_status_name(_ status: Int32) -> UnsafePointer<CChar>! {
  let name: StaticString =
    switch sparsedit_status(rawValue: UInt32(bitPattern: status)) {
    case SPARSEDIT_OK: "ok"
    case SPARSEDIT_INVALID_ARGUMENT: "invalid argument"
    case SPARSEDIT_INVALID_DATA: "invalid data"
    case SPARSEDIT_UNSUPPORTED: "unsupported"
    case SPARSEDIT_NOT_FOUND: "not found"
    case SPARSEDIT_OUT_OF_MEMORY: "out of memory"
    case SPARSEDIT_CANNOT_WRITE: "cannot write"
    case SPARSEDIT_CANCELLED: "cancelled"
    case SPARSEDIT_BUSY: "busy"
    case SPARSEDIT_BUFFER_TOO_SMALL: "buffer too small"
    case SPARSEDIT_INVALID_HANDLE: "invalid handle"
    case SPARSEDIT_IDLE: "idle"
    case SPARSEDIT_INTERNAL: "internal error"
    default: "unknown status"
    }
  // A static string is NUL-terminated and never freed.
  return UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
}

@_cdecl("sparsedit_free")
@implementation
public func sparsedit_free(_ bytes: UnsafeMutableRawPointer!) { free(bytes) }
