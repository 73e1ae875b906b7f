import CSparseDiT
import SparseDiT
import Tensors

@_cdecl("sparsedit_import_options_init")
@implementation
public func sparsedit_import_options_init(
  _ options: UnsafeMutablePointer<sparsedit_import_options>!, _ struct_size: Int
) -> sparsedit_status {
  sparsedit_import_options.fill(options, size: struct_size, with: sparsedit_import_options())
}

@_cdecl("sparsedit_import_model")
@implementation
public func sparsedit_import_model(
  _ options: UnsafePointer<sparsedit_import_options>!, _ message: UnsafeMutablePointer<CChar>!,
  _ message_capacity: Int
) -> sparsedit_status {
  answer(to: message, capacity: message_capacity) { () throws(Failure) in
    let options = try sparsedit_import_options.read(
      options, named: "options", defaults: sparsedit_import_options())
    let folder = try path(options.folder, named: "options->folder")
    let (sources, settings) = (try sources(options), try settings(options))
    try engine { () throws(SparseDiTError) in
      try ModelImport(sources, options: settings).write(to: folder) { progress in
        guard let report = options.on_progress else { return true }
        return report(
          UInt64(progress.bytes), UInt64(progress.totalBytes), options.on_progress_user_data) == 0
      }
    }
  }
}

private func sources(_ options: sparsedit_import_options) throws(Failure) -> [String] {
  let name = "options->sources"
  guard (1...1000).contains(options.source_count) else {
    throw .argument("\(name): \(UInt(bitPattern: options.source_count)) are not 1 to 1000")
  }
  var paths: [String] = []
  for (index, source) in try input(
    options.sources, count: options.source_count, named: name
  ).enumerated() {
    paths.append(try path(source, named: "\(name)[\(index)]"))
  }
  return paths
}

private func settings(_ options: sparsedit_import_options) throws(Failure) -> ImportOptions {
  func number(_ value: Int32, _ range: ClosedRange<Int>, _ name: String) throws(Failure) -> Int? {
    value == 0 ? nil : try checked(value, in: range, named: "options->\(name)")
  }
  return ImportOptions(
    format: try format(options.format),
    variant: options.variant == nil
      ? nil : try path(options.variant, named: "options->variant"),
    size: try number(options.size, 8...32_768, "size"),
    heads: try number(options.heads, 1...1024, "heads"),
    sparseGrid: try number(options.sparse_grid, 1...1024, "sparse_grid") ?? 8,
    generation: try generation(options.generation))
}

private func format(_ value: Int32) throws(Failure) -> ImportOptions.Format {
  switch sparsedit_import_format(rawValue: UInt32(bitPattern: value)) {
  case SPARSEDIT_IMPORT_BF16: .bf16
  case SPARSEDIT_IMPORT_F32: .f32
  case SPARSEDIT_IMPORT_F16: .f16
  default: throw .argument("options->format is \(value), which is no sparsedit_import_format")
  }
}

private func generation(_ value: Int32) throws(Failure) -> ImportOptions.Generation? {
  switch sparsedit_import_generation(rawValue: UInt32(bitPattern: value)) {
  case SPARSEDIT_IMPORT_GENERATION_TOLD: nil
  case SPARSEDIT_IMPORT_GENERATION_ALPHA: .alpha
  case SPARSEDIT_IMPORT_GENERATION_SIGMA: .sigma
  default:
    throw .argument("options->generation is \(value), which is no sparsedit_import_generation")
  }
}
