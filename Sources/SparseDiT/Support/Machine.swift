import Glibc
import Tensors

/// What the process may use of the machine.
enum Machine {
  /// Bytes that can be had without swapping: what the system has available, or what is left of the
  /// control group's limit when that is less. Nil when neither can be read.
  static var availableMemory: Int? {
    let system = text(of: "/proc/meminfo").flatMap { meminfo in
      number(after: "MemAvailable:", in: meminfo).map { $0 * 1024 }
    }
    let groups = [
      ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
      (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes"
      ),
    ].compactMap { limit, usage -> Int? in
      // "max", no limit, is not a number.
      guard let limit = text(of: limit).flatMap({ number(after: "", in: $0) }),
        let usage = text(of: usage).flatMap({ number(after: "", in: $0) })
      else { return nil }
      return max(limit - usage, 0)
    }
    return ([system].compactMap { $0 } + groups).min()
  }

  /// What weights are stored as by default: bf16 where the CPU multiplies it natively, else f32.
  static var precision: Precision { multipliesBF16 ? .bf16 : .f32 }
  /// Whether the CPU multiplies bf16 natively.
  static var multipliesBF16: Bool { CPULevel.inUse.hasBF16 }

  /// Seconds on a clock that only runs forward.
  static var seconds: Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
  }

  private static func number(after label: String, in text: String) -> Int? {
    value(after: label, in: text).flatMap { Int($0) }
  }

  /// The first word after `label` in the line that begins with it.
  private static func value(after label: String, in text: String) -> Substring? {
    for line in text.split(separator: "\n") where line.hasPrefix(label) {
      return line.dropFirst(label.count).split { $0 == " " || $0 == "\t" }.first
    }
    return nil
  }

  /// The first 8 KiB of a file of the kernel's.
  private static func text(of path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = read(file, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }
}
