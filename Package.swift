// swift-tools-version: 6.2
import PackageDescription

// Every target imports only targets that stand below it in this list; scripts/check-imports holds us to it.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let strictC: [CSetting] = [
    .treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra"),
]

let package = Package(
    name: "mergevit",
    products: [
        .library(name: "Tensors", targets: ["Tensors"]),
        .library(name: "Images", targets: ["Images"]),
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
            name: "CImageCodecs",
            cSettings: strictC,
            linkerSettings: [.linkedLibrary("png"), .linkedLibrary("jpeg")]),
        .target(
            name: "CKernels",
            cSettings: strictC),
        .target(
            name: "Images",
            dependencies: ["CImageCodecs", "CKernels", "Tensors"],
            swiftSettings: strict),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: strict),
        .testTarget(
            name: "ImagesTests",
            dependencies: ["Images", "Tensors"],
            exclude: ["make_cases.py"],
            resources: [.copy("Cases")],
            swiftSettings: strict),
    ]
)
