import CKernels

/// What the process may still map, under its limits of addresses and of data.
package enum ProcessMemory {
  /// Bytes that have to be left for generated code and small allocations: neither Swift nor oneDNN
  /// survives that one of those is refused.
  package static let reserve = 32 << 20

  /// - Parameter what: what takes the bytes, beside which the reserve has to be there.
  /// - Throws: `outOfMemory` where `byteCount` bytes and the reserve could not be mapped now.
  package static func check(_ byteCount: Int, for what: String) throws(SparseDiTError) {
    let (whole, overflow) = byteCount.addingReportingOverflow(reserve)
    guard !overflow, ck_can_map(whole) else {
      throw .outOfMemory(
        "\(what) takes \(byteCount) bytes of memory, and \(reserve) bytes must be left beside them:"
          + " this process may not map that much")
    }
  }
}
