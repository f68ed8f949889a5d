import Foundation
import TestSupport
import Testing

extension Samples {
    /// A file among the tests' cases.
    static func testCase(_ name: String) -> String { (Bundle.module.resourcePath ?? ".") + "/Cases/" + name }

    private static let demo = Result { try merged("demo", tasks: tasks, scale: "0.3") }
    private static let single = Result {
        Dictionary(
            uniqueKeysWithValues: try tasks.map { ($0, try merged("only-\($0)", tasks: [$0], scale: "1")) })
    }

    /// The bundle of all six adapters at scale 0.3.
    static func six() throws -> String { try demo.get() }

    /// The bundle of one adapter at scale 1.
    static func only(_ task: String) throws -> String { try #require(try single.get()[task]) }

    private static let rows = Result {
        (
            plain: try EndToEndTests.label(six(), ["images"], folder: folder),
            everyScore: try EndToEndTests.label(six(), ["--all-scores", "images"], folder: folder)
        )
    }

    /// What the bundle of all six says of the sample images.
    static func csv() throws -> [UInt8] { try rows.get().plain }

    /// How many of the labels in other rows for the sample images are those of `csv`.
    static func agreement(_ found: [UInt8]) throws -> Double {
        let (rows, expected) = (table(found), table(try csv()))
        #expect(rows.count == expected.count)
        let pairs = zip(rows, expected).flatMap { row, wanted in tasks.map { (row[$0], wanted[$0]) } }
        return Double(pairs.count { $0 == $1 }) / Double(pairs.count)
    }

    /// The same with the score of every class.
    static func csvOfEveryScore() throws -> [UInt8] { try rows.get().everyScore }

    private static func merged(_ name: String, tasks: [String], scale: String) throws -> String {
        let path = try SharedFolder.path(name)
        let run = try runMergeVit(
            ["merge", "-q", "--base", base, "--scale", scale, "-o", path]
                + adapters(tasks))
        guard run.exitCode == 0 else { throw CannotRun(description: run.errors) }
        return path
    }
}

/// The arguments that name sample adapters by their tasks.
func adapters(_ tasks: [String]) -> [String] {
    tasks.flatMap { ["--adapter", "\($0)=\(Samples.adapter($0))"] }
}

func adapters(_ tasks: String...) -> [String] { adapters(tasks) }

/// Labels with a bundle and takes for granted that it goes well.
func label(_ bundle: String, _ arguments: [String], input: [UInt8] = [], folder: String? = nil) throws -> [UInt8] {
    let run = try runMergeVit(
        ["label", "-q", "--bundle", bundle] + arguments, input: input, folder: folder.map { URL(fileURLWithPath: $0) })
    try #require(run.exitCode == 0 && run.errors.isEmpty, "\(run.exitCode): \(run.errors)")
    return run.standardOutput
}

/// The largest difference that another processor's rounding makes in a score.
let scoreTolerance = 2e-4

/// Whether two scores as text are the same number but for rounding.
func near(_ a: String?, _ b: String?, _ tolerance: Double = scoreTolerance) -> Bool {
    guard let a = a.flatMap(Double.init), let b = b.flatMap(Double.init) else { return a == b }
    return abs(a - b) <= tolerance
}

extension TemporaryFolder {
    /// Writes a list of `count` inputs for `--files-from`: a sample picture, except that
    /// every ninth file does not exist.
    func writeInputList(_ name: String, count: Int) throws {
        let lines = (0..<count).map { Samples.image($0 % 9 == 8 ? "none.png" : "signs/stop.png") + "\n" }
        try write(name, lines.joined())
    }
}
