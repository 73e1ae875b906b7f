// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "SparseDiT-T2I",
  products: [
    .library(name: "SparseDiT", targets: ["SparseDiT"]),
    .library(name: "sparsedit", type: .dynamic, targets: ["SparseDiTC"]),
    .executable(name: "sparsedit-t2i", targets: ["sparsedit-t2i"]),
    .executable(name: "sparsedit-bench", targets: ["sparsedit-bench"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .target(
      name: "COneDNN", dependencies: ["CKernels"],
      linkerSettings: [.linkedLibrary("dnnl"), .linkedLibrary("gomp")]),
    .target(
      name: "CKernels", linkerSettings: [.linkedLibrary("gomp"), .linkedLibrary("m")]),
    // No library is linked: it is opened when a model needs it.
    .target(name: "CSentencePiece", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "CJPEG", linkerSettings: [.linkedLibrary("jpeg")]),
    .target(name: "CDefaultModel", exclude: ["model"]),
    .target(name: "Tensors", dependencies: ["COneDNN", "CKernels"]),
    .target(
      name: "SparseDiT", dependencies: ["Tensors", "CJPEG", "CSentencePiece", "CDefaultModel"]),
    .systemLibrary(name: "CSparseDiT", path: "include"),
    .target(
      name: "SparseDiTC", dependencies: ["CSparseDiT", "SparseDiT", "Tensors"],
      exclude: ["sparsedit.map"]),
    .executableTarget(
      name: "sparsedit-t2i",
      dependencies: [
        "SparseDiT", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "sparsedit-bench",
      dependencies: [
        "SparseDiT", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors", "COneDNN", "CKernels"]),
    .testTarget(name: "SparseDiTTests", dependencies: ["SparseDiT"]),
    .testTarget(name: "CommandLineTests", dependencies: ["sparsedit-t2i"]),
  ],
  cxxLanguageStandard: .cxx17
)
