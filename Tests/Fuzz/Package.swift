// swift-tools-version: 6.2
import PackageDescription

// Built by scripts/fuzz, with sanitizers and libFuzzer's instrumentation. The readers have package access: see
// Benchmarks/Package.swift.
let folder = Context.packageDirectory.split(separator: "/").dropLast(2).last.map { $0.lowercased() } ?? ""
let identity = folder.hasSuffix(".git") ? String(folder.dropLast(4)) : folder
let packageName = String(
    identity.unicodeScalars.enumerated().map { index, scalar -> Character in
        let isLetter = scalar == "_" || scalar.properties.isAlphabetic
        let isDigit = index > 0 && scalar.properties.numericType == .decimal
        return isLetter || isDigit ? Character(scalar) : "_"
    })

let package = Package(
    name: "Fuzz",
    dependencies: [.package(path: "../..")],
    targets: [
        .target(
            name: "CFuzz", dependencies: [.product(name: "Internals", package: identity)],
            cSettings: [.treatAllWarnings(as: .error), .enableWarning("all"), .enableWarning("extra")]),
        .executableTarget(
            name: "Fuzz",
            dependencies: ["CFuzz", .product(name: "Internals", package: identity)],
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
