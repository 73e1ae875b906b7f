import Testing

@testable import SparseDiT
@testable import Tensors

@Suite("Pictures and JPEG")
struct RGBImageTests {
  @Test("decoded values become bytes as diffusers rounds them, one picture of a batch")
  func quantization() throws {
    // 2 pictures of 3 channels, 1×3 pixels. (x/2 + 1/2)·255: −1 → 0, 1 → 255, 0 → 127.5 → 128 (to
    // even), 1/255 → 128 exactly, −1/255 → 127 exactly, beyond ±1 clamped.
    let values: [Float] = [
      9, 9, 9, 9, 9, 9, 9, 9, 9,
      -1, 0, 1, 1.0 / 255, -1.0 / 255, 0.5, -7, 7, -0.5,
    ]
    let image = try RGBImage(decoded: Tensor(values, [2, 3, 1, 3]), index: 1)
    #expect((image.width, image.height) == (3, 1))
    #expect(image.pixels == [0, 128, 0, 128, 127, 255, 255, 191, 64])
  }

  @Test("NaN and infinity are errors, not black pixels", arguments: [Float.nan, .infinity])
  func notFinite(value: Float) throws {
    let decoded = try Tensor([0, 0, value] as [Float], [1, 3, 1, 1])
    #expect(throws: SparseDiTError.self) { try RGBImage(decoded: decoded, index: 0) }
  }

  @Test("wrong sizes, counts, indices and qualities are errors")
  func misuse() throws {
    let decoded = try Tensor([0, 0, 0] as [Float], [1, 3, 1, 1])
    #expect(throws: SparseDiTError.self) { try RGBImage(decoded: decoded, index: 1) }
    #expect(throws: SparseDiTError.self) { try RGBImage(width: 0, height: 1, pixels: []) }
    #expect(throws: SparseDiTError.self) { try RGBImage(width: 2, height: 1, pixels: [1, 2, 3]) }
    #expect(throws: SparseDiTError.self) {
      try RGBImage(width: 65_501, height: 1, pixels: [UInt8](repeating: 0, count: 65_501 * 3))
    }
    let image = try picture(width: 2, height: 1)
    #expect(throws: SparseDiTError.self) { try image.jpeg(quality: 0) }
    #expect(throws: SparseDiTError.self) { try image.jpeg(quality: 101) }
  }

  @Test(
    "a JPEG of odd size has the size, and full chroma from quality 90 on",
    arguments: [1, 89, 90, 100])
  func jpeg(quality: Int) throws {
    let file = try JPEGFile(picture(width: 19, height: 7).jpeg(quality: quality))
    #expect((file.width, file.height) == (19, 7))
    #expect(file.samplingFactors == (quality >= 90 ? [0x11, 0x11, 0x11] : [0x22, 0x11, 0x11]))
    #expect(file.segments[0xe1] == nil)
    // Optimised Huffman tables are shorter than the standard's 418 bytes of four tables.
    #expect(file.huffmanBytes < 418)
  }

  @Test("better quality is a larger file, past the first buffer too")
  func sizes() throws {
    let image = try picture(width: 640, height: 401)
    let sizes = try [20, 60, 95].map { try image.jpeg(quality: $0).count }
    #expect(sizes == sizes.sorted() && sizes[0] < sizes[2])
    #expect(sizes[2] > 1 << 16)
  }

  @Test(
    "the parameters stand in the EXIF UserComment as UTF-16", arguments: ["", "a 家 🐈\nSteps: 1"])
  func parameters(text: String) throws {
    let bytes = try picture(width: 8, height: 8).jpeg(quality: 80, parameters: text)
    #expect(try JPEGFile(bytes).userComment() == text)
  }

  @Test("a text beyond 64 KiB is cut with a mark, between characters")
  func longParameters() throws {
    for shift in 0...1 {
      let text = String(repeating: "x", count: shift) + String(repeating: "🐈", count: 40_000)
      let file = try JPEGFile(picture(width: 8, height: 8).jpeg(quality: 80, parameters: text))
      let comment = try file.userComment()
      #expect(comment.hasSuffix("🐈" + String.cutMark))
      #expect(text.hasPrefix(comment.dropLast(String.cutMark.count)))
      // The segment is full but for at most one pair that did not fit.
      let payload = try #require(file.segments[0xe1])
      #expect((EXIF.limit - 5...EXIF.limit).contains(payload.count))
    }
    // The longest text that fits is whole.
    let text = String(repeating: "y", count: EXIF.maxUnits)
    let file = try JPEGFile(picture(width: 8, height: 8).jpeg(quality: 80, parameters: text))
    #expect(try file.userComment() == text)
  }

  /// Colourful noise, which compresses badly.
  private func picture(width: Int, height: Int) throws -> RGBImage {
    var words = MersenneTwister(seed: 1)
    let pixels = (0..<(width * height * 3)).map { _ in UInt8(truncatingIfNeeded: words.word()) }
    return try RGBImage(width: width, height: height, pixels: pixels)
  }
}
