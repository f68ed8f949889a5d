// swift-tools-version: 6.2
import PackageDescription

// Every target imports only targets that stand below it in this list; scripts/check-imports holds us to it.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "mergevit",
    products: [
        .library(name: "Tensors", targets: ["Tensors"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .target(
            name: "Tensors",
            dependencies: [],
            swiftSettings: strict),
        .target(
            name: "COneDNN",
            linkerSettings: [.linkedLibrary("dnnl")]),
        .target(
            name: "Compute",
            dependencies: ["COneDNN", "Tensors"],
            swiftSettings: strict),
        .target(
            name: "VisionTransformers",
            dependencies: ["Compute", "Tensors"],
            swiftSettings: strict),
        .target(
            name: "Adapters",
            dependencies: ["VisionTransformers", "Tensors", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: strict),
        .testTarget(
            name: "AdaptersTests",
            dependencies: ["Adapters", "VisionTransformers", "Tensors"],
            resources: [.copy("Cases")],
            swiftSettings: strict),
        .testTarget(name: "ComputeTests", dependencies: ["Compute"], swiftSettings: strict),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: strict),
        .testTarget(
            name: "VisionTransformersTests",
            dependencies: ["VisionTransformers", "Tensors"],
            resources: [.copy("Cases")],
            swiftSettings: strict),
    ]
)
