import Glibc
import SparseDiT

/// Where the pictures go.
///
/// | `--output` | one picture | several |
/// |---|---|---|
/// | not given | `image.jpg`, else the first free of `image-2.jpg`, `image-3.jpg` … | `image-0001.jpg` …, else `image-2-0001.jpg` … |
/// | a folder, or a path that ends in `/`, which is made | the same in that folder | the same in that folder |
/// | `name.jpg` | `name.jpg`, replaced if it exists | `name-0001.jpg` …, replaced |
/// | `-` | standard output | refused |
///
/// With `--prompts-file` pictures are always numbered, by prompt, and with `--count` above 1 by
/// picture too: `name-0003-0002.jpg` is the second picture of the third prompt.
struct OutputNames {
  /// By prompt and picture; nil is standard output.
  let paths: [[String]]?
  /// The folder that has to be made before the first picture.
  let newFolder: String?

  /// - Parameters:
  ///   - prompts: number of prompts; nil when the prompt stood on the command line.
  ///   - count: pictures per prompt.
  /// - Throws: `cannotWrite` when a picture could not be written there, `invalidArgument` when the
  ///   name asks for another format than JPEG.
  init(output: String?, prompts: Int?, count: Int) throws(SparseDiTError) {
    guard output != "-" else {
      (paths, newFolder) = (nil, nil)
      return
    }
    let suffixes = Self.suffixes(prompts: prompts, count: count)
    func names(_ stem: String, _ ending: String) -> [[String]] {
      suffixes.map { $0.map { stem + $0 + ending } }
    }
    var chosen: [[String]]
    if let output, !output.hasSuffix("/"), !Self.isFolder(output) {
      let (stem, ending) = try Self.split(output)
      chosen = names(stem, ending)
    } else {
      let folder = output.map { $0.hasSuffix("/") ? $0 : $0 + "/" } ?? ""
      var attempt = 1
      repeat {
        chosen = names(folder + (attempt == 1 ? "image" : "image-\(attempt)"), ".jpg")
        attempt += 1
      } while chosen.joined().contains(where: Self.exists)
    }
    paths = chosen
    if let output, output.hasSuffix("/"), !Self.exists(output) {
      newFolder = output
      try Self.checkFolder(output)
    } else {
      newFolder = nil
      for path in chosen.joined() where path == chosen[0][0] || Self.exists(path) {
        try AtomicFile.check(path)
      }
    }
  }

  /// Makes a folder. Its parent must exist: a longer path is more likely a mistake.
  ///
  /// - Throws: `cannotWrite`, naming it and the reason.
  static func makeFolder(_ path: String) throws(SparseDiTError) {
    guard mkdir(path, 0o777) != 0 else { return }
    guard errno == EEXIST else { throw AtomicFile.failure(path, errno) }
    guard isFolder(path) else { throw AtomicFile.failure(path, ENOTDIR) }
  }

  /// As ``AtomicFile/check(_:)``: by making the folder and removing it again.
  private static func checkFolder(_ path: String) throws(SparseDiTError) {
    try makeFolder(path)
    rmdir(path)
  }

  private static func suffixes(prompts: Int?, count: Int) -> [[String]] {
    let pictures = count > 1 ? (1...count).map(number) : [""]
    guard let prompts else { return [pictures] }
    return (1...prompts).map { prompt in pictures.map { number(prompt) + $0 } }
  }

  private static func number(_ value: Int) -> String {
    let digits = String(value)
    return "-" + String(repeating: "0", count: max(4 - digits.count, 0)) + digits
  }

  /// `a/b.jpg` → `a/b`, `.jpg`.
  private static func split(_ path: String) throws(SparseDiTError) -> (stem: String, ending: String)
  {
    let nameStart = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    guard let dot = path[nameStart...].lastIndex(of: "."), dot > nameStart else {
      return (path, "")
    }
    let ending = String(path[dot...])
    let otherFormats = [".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jxl", ".ppm"]
    if otherFormats.contains(ending.lowercased()) {
      throw .invalidArgument("\(path): pictures are written as JPEG; take a name that ends in .jpg")
    }
    return (String(path[..<dot]), ending)
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }
}
