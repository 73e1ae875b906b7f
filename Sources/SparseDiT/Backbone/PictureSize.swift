/// Size of a picture in pixels, a condition of the 1024 models.
package struct PictureSize: Sendable, Hashable {
  package let height: Double
  package let width: Double
  /// Height over width, unless a caller's own loop says otherwise.
  package let aspectRatio: Double

  package init(height: Double, width: Double, aspectRatio: Double? = nil) {
    self.height = height
    self.width = width
    self.aspectRatio = aspectRatio ?? height / width
  }
}
