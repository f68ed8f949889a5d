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
        .executable(name: "mergevit", targets: ["mergevit"]),
        .library(name: "Labelling", targets: ["Labelling"]),
        .library(name: "Tensors", targets: ["Tensors"]),
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
            name: "Labelling",
            dependencies: ["Tensors"],
            swiftSettings: strict),
        .executableTarget(
            name: "mergevit",
            dependencies: [
                "Labelling",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: strict),
        .testTarget(name: "LabellingTests", dependencies: ["Labelling"], swiftSettings: strict),
        .testTarget(name: "EndToEndTests", dependencies: ["mergevit"], swiftSettings: strict),
    ]
)
