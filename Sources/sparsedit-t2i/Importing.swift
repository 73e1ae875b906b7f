import SparseDiT
import Tensors

/// A run of `sparsedit-t2i import`.
struct Importing {
  private let command: ImportCommand
  private let interruption: Interruption

  init(command: ImportCommand, interruption: Interruption) {
    self.command = command
    self.interruption = interruption
  }

  func run() throws(SparseDiTError) {
    let progress = ProgressBar(isQuiet: command.quiet)
    let output = command.paths[command.paths.count - 1]
    progress.show("reading \(command.paths[0]) …")
    defer { progress.clear() }
    let model = try ModelImport(Array(command.paths.dropLast()), options: command.options)
    let control = RunControl()
    try interruption.cancelling(control) { () throws(SparseDiTError) in
      try model.write(to: output, control: control) { done in
        progress.show("writing \(output)", bytes: done.bytes, of: done.totalBytes)
        return true
      }
    }
    progress.clear()
    if !command.quiet { try report(model, output) }
  }

  /// Says what was made of what.
  private func report(_ model: ModelImport, _ output: String) throws(SparseDiTError) {
    let folder = output.hasSuffix("/") ? output : output + "/"
    let lines = model.parts.map { part in
      "\(folder)\(part.folder): \(part.source ?? "as usual for such a transformer")"
    }
    try writeOutput(lines.map { messageLine($0) + "\n" }.joined())
  }
}
