import Glibc
import SparseDiT
import Synchronization

/// Writes each picture as soon as it is finished, prints a line about it, and keeps the report of the
/// run.
///
/// The engine hands over a picture in a callback, which cannot throw. So a failure is kept in
/// ``failure``, and the callback's answer ends the request.
final class PictureWriter: Sendable {
  private struct State {
    var report: Report
    var failure: SparseDiTError?
    /// To be made before the first picture.
    var newFolder: String?
  }

  private let quality: Int
  private let isSilent: Bool
  private let interruption: Interruption
  private let state: Mutex<State>

  /// - Parameters:
  ///   - quality: of the JPEG files, 1 … 100.
  ///   - isSilent: whether to print nothing about pictures.
  ///   - newFolder: made before the first picture.
  init(
    quality: Int, isSilent: Bool, newFolder: String?, interruption: Interruption, report: Report
  ) {
    self.quality = quality
    self.isSilent = isSilent
    self.interruption = interruption
    state = Mutex(State(report: report, newFolder: newFolder))
  }

  var report: Report { state.withLock { $0.report } }
  /// Why the last picture could not be written.
  var failure: SparseDiTError? { state.withLock { $0.failure } }

  /// - Parameters:
  ///   - result: one picture.
  ///   - path: nil is standard output.
  /// - Returns: false when it could not be written.
  func add(_ result: GenerationResult, path: String?) -> Bool {
    do throws(SparseDiTError) {
      try interruption.writing { () throws(SparseDiTError) in try write(result, to: path) }
      state.withLock { $0.report.add(result, file: path ?? "-") }
      try announce(result, path: path)
      return true
    } catch {
      state.withLock { $0.failure = error }
      return false
    }
  }

  private func write(_ result: GenerationResult, to path: String?) throws(SparseDiTError) {
    let bytes = try result.images[0].jpeg(quality: quality, parameters: result.parameters(of: 0))
    guard let path else {
      return try AtomicFile.write(bytes, to: STDOUT_FILENO, name: "standard output")
    }
    if let folder = state.withLock({ $0.newFolder }) {
      try OutputNames.makeFolder(folder)
      state.withLock { $0.newFolder = nil }
    }
    try AtomicFile.write(bytes, to: path, onTemporary: interruption.setTemporary)
  }

  /// One line per picture: on standard output, or on standard error where that holds the picture.
  private func announce(_ result: GenerationResult, path: String?) throws(SparseDiTError) {
    guard !isSilent else { return }
    let report = result.report
    let hundredths = Int((report.seconds.total * 100).rounded())
    let seconds = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    let facts = "seed \(result.seeds[0]), \(report.width)×\(report.height), \(seconds) s\n"
    if let path { try writeOutput("\(path): \(facts)") } else { writeError(facts) }
  }
}
