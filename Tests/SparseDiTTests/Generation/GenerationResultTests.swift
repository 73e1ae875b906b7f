import Foundation
import Testing

@testable import SparseDiT

/// What a Swift program does with a result.
@Suite struct GenerationResultTests {
  @Test func savesAPictureWithItsSettings() throws {
    let result = try RunControlTests.pipeline().generate(
      GenerationRequest(prompt: "a cat", width: 64, height: 32, steps: 2, seed: 5, count: 2))
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let path = folder.url("cat.jpg").path
    try result.save(1, to: path, quality: 70)
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    #expect(
      try bytes == result.images[1].jpeg(quality: 70, parameters: result.parameters(of: 1)))
    #expect(result.parameters(of: 1).contains("Seed: 6"))
    for (index, quality) in [(2, 70), (-1, 70), (0, 0), (0, 101)] {
      let error = #expect(throws: SparseDiTError.self) {
        try result.save(index, to: path, quality: quality)
      }
      guard case .invalidArgument = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
    // Whatever was refused, the picture is whole.
    #expect(try [UInt8](Data(contentsOf: URL(filePath: path))) == bytes)
  }
}
