import Foundation

/// What a finished process left.
struct Finished {
    let standardOutput: [UInt8]
    let standardError: [UInt8]
    let exitCode: Int32

    /// stdout as text.
    var output: String { String(decoding: standardOutput, as: UTF8.self) }
    /// stderr as text.
    var errors: String { String(decoding: standardError, as: UTF8.self) }
}

/// A command that could not even be started.
struct CannotRun: Error, CustomStringConvertible {
    let description: String
}

/// Runs the `mergevit` that was built beside these tests, and waits for its end.
///
/// - Parameters:
///   - arguments: what follows the command's name, as bytes: they need not be UTF-8.
///   - input: what it reads from stdin.
///   - folder: the folder it runs in.
///   - environment: variables that it gets beside those of the tests.
func runMergeVit(
    _ arguments: [[UInt8]], input: [UInt8] = [], folder: URL? = nil, environment: [String: String] = [:]
) throws -> Finished {
    let binary = try mergeVitBinary()
    // A shell turns the arguments back into bytes: Process would take only strings.
    let words = arguments.map { "\"$(printf '\($0.map { byte in "\\" + octal(byte) }.joined())' && printf .)\"" }
    let script =
        "set --; " + words.map { "a=\($0); set -- \"$@\" \"${a%?}\"; " }.joined() + "exec \"$MERGEVIT\" \"$@\""
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script]
    process.environment = ProcessInfo.processInfo.environment.merging(
        ["MERGEVIT": binary, "LC_ALL": "C", "COLUMNS": "80"].merging(environment) { $1 }
    ) { $1 }
    if let folder { process.currentDirectoryURL = folder }
    let streams = (input: Pipe(), output: Pipe(), errors: Pipe())
    process.standardInput = streams.input
    process.standardOutput = streams.output
    process.standardError = streams.errors
    // A process that does not read its stdin must not end the tests.
    signal(SIGPIPE, SIG_IGN)
    try process.run()
    let group = DispatchGroup()
    let errors = Collected()
    DispatchQueue.global().async(group: group) {
        try? streams.input.fileHandleForWriting.write(contentsOf: Data(input))
        try? streams.input.fileHandleForWriting.close()
    }
    DispatchQueue.global().async(group: group) { errors.set(streams.errors.fileHandleForReading.readDataToEndOfFile()) }
    let output = streams.output.fileHandleForReading.readDataToEndOfFile()
    group.wait()
    process.waitUntilExit()
    return Finished(standardOutput: Array(output), standardError: errors.bytes, exitCode: process.terminationStatus)
}

/// Runs `mergevit` with arguments that are text.
func runMergeVit(_ arguments: String..., input: [UInt8] = [], folder: URL? = nil) throws -> Finished {
    try runMergeVit(arguments.map { Array($0.utf8) }, input: input, folder: folder)
}

/// The `mergevit` that was built beside these tests.
func mergeVitBinary() throws -> String {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let binary = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("mergevit").path
    guard FileManager.default.isExecutableFile(atPath: binary) else {
        throw CannotRun(description: "no mergevit beside \(tests)")
    }
    return binary
}

/// Runs `mergevit` with arguments that are text.
func runMergeVit(
    _ arguments: [String], input: [UInt8] = [], folder: URL? = nil, environment: [String: String] = [:]
) throws -> Finished {
    try runMergeVit(arguments.map { Array($0.utf8) }, input: input, folder: folder, environment: environment)
}

private final class Collected: @unchecked Sendable {
    private let lock = NSLock()
    private var data = Data()

    var bytes: [UInt8] { lock.withLock { Array(data) } }

    func set(_ data: Data) { lock.withLock { self.data = data } }
}

private func octal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 8)
    return String(repeating: "0", count: 3 - digits.count) + digits
}
