import Tensors

// Until Checkpoint and Image bring the real ones: whoever brings one deletes its lines here.
public struct RGBImage: Sendable {
  public let width: Int
  public let height: Int
  public let pixels: [UInt8]
}
