import Tensors

// Until Checkpoint and Image bring the real ones: whoever brings one deletes its lines here.
public struct ModelFolder: Sendable {
  public init(directory: String) throws(SparseDiTError) { throw .internalFailure("") }
  public static func builtIn() throws(SparseDiTError) -> ModelFolder { throw .internalFailure("") }
}
public struct RGBImage: Sendable {
  public let width: Int
  public let height: Int
  public let pixels: [UInt8]
}
