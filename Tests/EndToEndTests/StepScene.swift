import Files
import Foundation
import TestSupport
import Testing

/// A command that trains in steps, in a folder of its own: `train`, and `merge --method distill`.
protocol StepScene {
    var scratch: TemporaryFolder { get }
    /// The arguments of a short run.
    static var short: [String] { get }
    /// All arguments of a run that writes `output`.
    static func command(_ output: String, _ arguments: [String]) -> [String]
}

extension StepScene {
    /// Runs the command.
    func run(
        _ output: String, _ arguments: [String] = Self.short, environment: [String: String] = [:]
    ) throws -> Finished {
        try runMergeVit(Self.command(output, arguments), folder: scratch.url, environment: environment)
    }

    /// Runs the command, which must succeed and print nothing.
    func runQuietly(_ output: String, _ arguments: [String] = Self.short) throws {
        let run = try run(output, arguments + ["-q"])
        try #require(run.exitCode == 0 && run.errors.isEmpty && run.standardOutput.isEmpty, "\(run.errors)")
    }

    /// Starts the command, sends it a signal once its checkpoint has `steps` steps, and waits for its end.
    func interrupted(
        _ output: String, _ arguments: [String] = Self.short, by signal: Int32, after steps: Int
    ) throws -> Finished {
        try startMergeVit(Self.command(output, arguments + ["--checkpoint-steps", "1", "-q"]), folder: scratch.url)
            .interrupted(by: signal) { try self.steps(output) >= steps }
    }

    /// How many steps the checkpoint of a run has; -1 if there is none.
    func steps(_ output: String) throws -> Int {
        let path = scratch.path(".\(output).training/checkpoint.json")
        guard FileManager.default.fileExists(atPath: path) else { return -1 }
        return try JSON(contentsOf: path).objectValue?["state"]?.objectValue?["steps"]?.intValue ?? -1
    }
}
