import Foundation
import TestSupport

/// Starts the `mergevit` that was built beside these tests.
///
/// - Parameters:
///   - arguments: what follows the command's name, as bytes: they need not be UTF-8.
///   - input: what it reads from stdin.
///   - keepsInputOpen: whether its stdin has no end.
///   - folder: the folder it runs in.
///   - environment: variables that it gets beside those of the tests.
///   - columns: if given, its stderr is a terminal of that width instead of a pipe.
func startMergeVit(
    _ arguments: [[UInt8]], input: [UInt8] = [], keepsInputOpen: Bool = false, folder: URL? = nil,
    environment: [String: String] = [:], columns: Int? = nil
) throws -> ChildProcess {
    try ChildProcess(
        try mergeVitBinary(), arguments, input: input, keepsInputOpen: keepsInputOpen, folder: folder,
        environment: ["LC_ALL": "C", "COLUMNS": "80"].merging(environment) { $1 }, columns: columns)
}

/// Starts `mergevit` with arguments that are text.
func startMergeVit(_ arguments: [String], keepsInputOpen: Bool = false, folder: URL? = nil) throws -> ChildProcess {
    try startMergeVit(arguments.map { Array($0.utf8) }, keepsInputOpen: keepsInputOpen, folder: folder)
}

/// Runs `mergevit`, and waits for its end.
func runMergeVit(
    _ arguments: [[UInt8]], input: [UInt8] = [], folder: URL? = nil, environment: [String: String] = [:]
) throws -> Finished {
    try startMergeVit(arguments, input: input, folder: folder, environment: environment).finish()
}

/// Runs `mergevit` with arguments that are text.
func runMergeVit(_ arguments: String..., input: [UInt8] = [], folder: URL? = nil) throws -> Finished {
    try runMergeVit(arguments, input: input, folder: folder)
}

/// Runs `mergevit` with arguments that are text.
func runMergeVit(
    _ arguments: [String], input: [UInt8] = [], folder: URL? = nil, environment: [String: String] = [:]
) throws -> Finished {
    try runMergeVit(arguments.map { Array($0.utf8) }, input: input, folder: folder, environment: environment)
}

/// The `mergevit` that is tested: what MERGEVIT_BINARY names, or what was built beside these tests.
func mergeVitBinary() throws -> String {
    if let binary = ProcessInfo.processInfo.environment["MERGEVIT_BINARY"] {
        guard binary.hasPrefix("/"), FileManager.default.isExecutableFile(atPath: binary) else {
            throw CannotRun(description: "MERGEVIT_BINARY: expected the whole path of a program, found \(binary)")
        }
        return binary
    }
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let binary = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("mergevit").path
    guard FileManager.default.isExecutableFile(atPath: binary) else {
        throw CannotRun(description: "no mergevit beside \(tests)")
    }
    return binary
}
