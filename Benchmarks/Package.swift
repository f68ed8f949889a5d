// swift-tools-version: 6.2
import PackageDescription

// The benchmarks measure internals, which have package access. So they are compiled as a part of the package in the
// folder above, under its identity: the name of its folder, as SwiftPM writes it.
let folder = Context.packageDirectory.split(separator: "/").dropLast().last.map { $0.lowercased() } ?? ""
let identity = folder.hasSuffix(".git") ? String(folder.dropLast(4)) : folder
let packageName = String(
    identity.unicodeScalars.enumerated().map { index, scalar -> Character in
        let isLetter = scalar == "_" || scalar.properties.isAlphabetic
        let isDigit = index > 0 && scalar.properties.numericType == .decimal
        return isLetter || isDigit ? Character(scalar) : "_"
    })

let strictC: [CSetting] = [
    .treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra"),
]

let package = Package(
    name: "Benchmarks",
    dependencies: [.package(path: "..")],
    targets: [
        .target(name: "CProcessorLimits", cSettings: strictC),
        .target(name: "CAllocationCount", cSettings: strictC),
        .target(
            name: "CCodecLimits", cSettings: strictC,
            linkerSettings: [.linkedLibrary("png"), .linkedLibrary("jpeg")]),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "CProcessorLimits", "CCodecLimits", "CAllocationCount",
                .product(name: "Internals", package: identity),
            ],
            packageAccess: false,
            swiftSettings: [
                .treatAllWarnings(as: .error),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .unsafeFlags(["-package-name", packageName]),
            ]),
    ]
)
