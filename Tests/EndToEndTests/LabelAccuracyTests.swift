import Foundation
import TestSupport
import Testing

/// The datasets and reference answers that are too large for the repository, where they are there.
enum Shared {
    /// The folder beside the package, or the one that the environment names.
    static let folder: String? = [
        ProcessInfo.processInfo.environment["MERGEVIT_SHARED"],
        URL(fileURLWithPath: Samples.package).deletingLastPathComponent().appendingPathComponent("shared").path,
    ].compactMap { $0 }.first { FileManager.default.fileExists(atPath: "\($0)/data/corn/test") }

    /// Whether the tests that need them can run.
    static var isThere: Bool { folder != nil }

    /// The rows that a bundle gives for the test pictures of some tasks, and what transformers and PEFT say of each.
    static func rows(_ bundle: String, _ tasks: [String]) throws -> [[String: String]] {
        let folder = try #require(folder)
        return table(try label(bundle, tasks.map { "\($0)/test" }, folder: folder + "/data"))
    }
}

/// How many of 100 rows have the class that their folder is named after.
private func accuracy(_ rows: [[String: String]], _ task: String) -> Double {
    let hits = rows.filter { row in row["path"]?.split(separator: "/").dropFirst(2).first.map(String.init) == row[task]
    }
    return 100 * Double(hits.count) / Double(rows.count)
}

/// Accuracy and agreement on real pictures.
@Suite(.enabled(if: Shared.isThere, "needs the datasets, see MERGEVIT_SHARED")) struct LabelAccuracyTests {
    /// Top-1 on the test split in percent: of each adapter alone, and of all six at scale 0.3.
    static let expected: [(task: String, single: Double, merged: Double)] = [
        ("traffic", 52.1, 36.2), ("trash", 76.0, 71.7), ("corn", 93.0, 89.7), ("flowers", 68.5, 65.2),
        ("clothing", 52.3, 43.2), ("aerial", 82.2, 75.7),
    ]

    @Test(arguments: expected.indices) func singleAdaptersAgreeWithTransformersAndPEFT(_ index: Int) throws {
        let (task, single, _) = Self.expected[index]
        let rows = try Shared.rows(try Samples.only(task), [task])
        #expect(abs(accuracy(rows, task) - single) <= 0.5, "\(task): \(accuracy(rows, task))")
        let folder = try #require(Shared.folder)
        let reference = Dictionary(
            table(try readBytes("\(folder)/models/expected/\(task).csv")).map { ($0["path"], $0) },
            uniquingKeysWith: { $1 })
        #expect(rows.count == reference.count)
        var agreeing = 0
        for row in rows {
            let wanted = try #require(reference[row["path"]])
            guard row[task] == wanted["label"] else { continue }
            agreeing += 1
            let (score, expected) = (row["\(task)_score"], wanted["score"])
            #expect(
                near(score, expected, 1e-3), "\(row["path"] ?? ""): expected \(expected ?? ""), found \(score ?? "")")
        }
        #expect(Double(agreeing) >= 0.995 * Double(rows.count), "\(task): \(agreeing) of \(rows.count)")
    }

    @Test func theSumOfSixKeepsItsAccuracy() throws {
        let rows = try Shared.rows(try Samples.six(), Samples.tasks)
        #expect(rows.allSatisfy { $0["status"] == "ok" })
        for (task, _, merged) in Self.expected {
            let own = rows.filter { $0["path"]?.hasPrefix("\(task)/") == true }
            #expect(abs(accuracy(own, task) - merged) <= 0.5, "\(task): \(accuracy(own, task))")
        }
    }
}
