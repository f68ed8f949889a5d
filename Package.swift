// swift-tools-version: 6.2
import Glibc
import PackageDescription

/// A library that may be missing: the formats that it reads are then named as not built in.
struct OptionalLibrary {
    let name: String
    let header: String
    let linked: [String]

    static let all = [
        OptionalLibrary(name: "webp", header: "webp/demux.h", linked: ["webpdemux", "webp"]),
        OptionalLibrary(name: "tiff", header: "tiffio.h", linked: ["tiff"]),
        OptionalLibrary(name: "gif", header: "gif_lib.h", linked: ["gif"]),
    ]

    /// Whether MERGEVIT_WITHOUT="webp tiff" says to build as if it were missing.
    var isHidden: Bool {
        (Context.environment["MERGEVIT_WITHOUT"] ?? "").split(separator: " ").contains { $0 == name }
    }

    /// Whether its header is where compilers look. SwiftPM remembers the answer until `swift package purge-cache`;
    /// codecs.h says so when a header has appeared since.
    var isPresent: Bool {
        if isHidden { return false }
        let variables = Context.environment
        var folders = ["/usr/include", "/usr/local/include"]
        for triple in ["x86_64", "aarch64", "riscv64", "powerpc64le", "s390x"].map({ "\($0)-linux-gnu" }) {
            folders.append("/usr/include/\(triple)")
        }
        for variable in ["CPATH", "C_INCLUDE_PATH"] {
            folders += (variables[variable] ?? "").split(separator: ":").map(String.init)
        }
        return folders.contains { access("\($0)/\(header)", R_OK) == 0 }
    }

    /// MV_WITH_TIFF for the sources in C, or MV_WITHOUT_TIFF if it is to be left out.
    var defines: [CSetting] {
        (isPresent ? [.define("MV_WITH_\(name.uppercased())")] : [])
            + (isHidden ? [.define("MV_WITHOUT_\(name.uppercased())")] : [])
    }
}

// Targets stand in the order of their layers: each imports only what stands above it in this list, which
// scripts/check-imports holds us to.
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
        .executable(name: "mergevit", targets: ["mergevit"]),
        // For Benchmarks/ and Tests/Fuzz/ alone: declarations have package access, which no other package has.
        .library(
            name: "Internals",
            targets: [
                "Files", "Tensors", "Compute", "Images", "VisionTransformers", "Adapters", "Datasets", "Labelling",
                "Evaluation", "Reports", "Training", "Workflows",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        // Libraries in C, and what binds system libraries.
        .target(
            name: "CImageCodecs",
            cSettings: strictC + OptionalLibrary.all.flatMap(\.defines),
            linkerSettings: (["png", "jpeg", "z"] + OptionalLibrary.all.filter(\.isPresent).flatMap(\.linked))
                .map { .linkedLibrary($0) }),
        .target(name: "CCrypto", cSettings: strictC, linkerSettings: [.linkedLibrary("crypto")]),
        .target(name: "CKernels", cSettings: strictC),
        .target(
            name: "COneDNN", dependencies: ["CKernels"], cSettings: strictC,
            linkerSettings: [.linkedLibrary("dnnl")]),
        .target(
            name: "CLAPACK", cSettings: strictC,
            linkerSettings: [.linkedLibrary("lapacke"), .linkedLibrary("openblas")]),
        .target(name: "CExtendedAttributes", cSettings: strictC),

        // Libraries in Swift.
        .target(
            name: "Files", dependencies: ["CCrypto", "CExtendedAttributes"],
            swiftSettings: strict),
        .target(name: "Tensors", dependencies: ["Files"], swiftSettings: strict),
        .target(
            name: "Compute", dependencies: ["COneDNN", "CLAPACK", "CKernels", "Tensors", "Files"], swiftSettings: strict
        ),
        .target(name: "Images", dependencies: ["CImageCodecs", "CKernels", "Tensors", "Files"], swiftSettings: strict),
        .target(
            name: "VisionTransformers", dependencies: ["Images", "Compute", "Tensors", "Files"], swiftSettings: strict),
        .target(
            name: "Adapters",
            dependencies: [
                "VisionTransformers", "Images", "Compute", "Tensors", "Files",
            ],
            swiftSettings: strict),
        .target(
            name: "Datasets", dependencies: ["VisionTransformers", "Images", "Tensors", "Files"],
            swiftSettings: strict),
        .target(
            name: "Labelling", dependencies: ["Datasets", "VisionTransformers", "Images", "Tensors", "Files"],
            swiftSettings: strict),
        .target(
            name: "Evaluation", dependencies: ["Datasets", "VisionTransformers", "Tensors", "Files"],
            swiftSettings: strict),
        .target(
            name: "Reports",
            dependencies: ["Evaluation", "Labelling", "VisionTransformers", "Images", "Compute", "Files"],
            swiftSettings: strict),
        .target(
            name: "Training",
            dependencies: [
                "Evaluation", "Datasets", "Adapters", "VisionTransformers", "Images", "Compute", "Tensors", "Files",
            ],
            swiftSettings: strict),
        .target(
            name: "Workflows",
            dependencies: [
                "Training", "Evaluation", "Labelling", "Datasets", "Adapters", "VisionTransformers",
                "Images", "Compute", "Tensors", "Files",
            ],
            swiftSettings: strict),

        // Programs.
        .executableTarget(
            name: "mergevit",
            dependencies: [
                "Workflows", "Training", "Reports", "Evaluation", "Labelling", "Datasets", "Adapters",
                "VisionTransformers", "Images", "Compute", "Tensors", "Files",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // Tests.
        .target(name: "CSpawn", path: "Tests/CSpawn", cSettings: strictC),
        .target(
            name: "TestSupport", dependencies: ["CSpawn", "Labelling", "Datasets", "Tensors", "Files"],
            path: "Tests/Support",
            swiftSettings: strict),
        .testTarget(name: "FilesTests", dependencies: ["Files", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "TensorsTests", dependencies: ["Tensors", "Files", "TestSupport"], resources: [.copy("Cases")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ComputeTests", dependencies: ["Compute", "Tensors", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ImagesTests", dependencies: ["Images", "Tensors", "Files", "TestSupport"],
            exclude: ["compare_with_pillow.py", "make_bitmap_cases.py", "make_cases.py", "make_format_cases.py"],
            resources: [.copy("Cases")],
            swiftSettings: strict),
        .testTarget(
            name: "VisionTransformersTests",
            dependencies: ["VisionTransformers", "Images", "Compute", "Tensors", "Files", "TestSupport"],
            exclude: ["make_cases.py"], resources: [.copy("Cases")], swiftSettings: strict),
        .testTarget(
            name: "AdaptersTests",
            dependencies: ["Adapters", "VisionTransformers", "Images", "Compute", "Tensors", "Files", "TestSupport"],
            resources: [.copy("Cases")], swiftSettings: strict),
        .testTarget(
            name: "DatasetsTests", dependencies: ["Datasets", "VisionTransformers", "Images", "Files", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "LabellingTests",
            dependencies: ["Labelling", "Datasets", "VisionTransformers", "Tensors", "Files", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "EvaluationTests",
            dependencies: [
                "Reports", "Evaluation", "Datasets", "VisionTransformers", "Images", "Tensors", "Files", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TrainingTests",
            dependencies: [
                "Training", "Evaluation", "Datasets", "Adapters", "VisionTransformers", "Images", "Compute", "Tensors",
                "Files", "TestSupport",
            ],
            resources: [.copy("Cases")], swiftSettings: strict),
        .testTarget(
            name: "WorkflowsTests",
            dependencies: [
                "Workflows", "Training", "Evaluation", "Labelling", "Datasets", "Adapters", "VisionTransformers",
                "Tensors", "Files", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "mergevit", "Workflows", "Training", "Evaluation", "Labelling", "Datasets", "Adapters",
                "VisionTransformers", "Tensors", "Files", "TestSupport",
            ],
            exclude: ["Faults"],
            resources: [.copy("Cases")], swiftSettings: strict),
    ]
)
