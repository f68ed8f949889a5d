import Foundation
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training
@testable import Workflows

@Suite struct StudyStoreTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    private var folder: String { scratch.path + "/study" }
    private var file: String { folder + "/results.jsonl" }

    private func result(_ index: Int) -> StudyResult {
        StudyResult(
            variant: "sum", tasks: ["a", "b\(index)"], scale: 0.1 * Double(index),
            masks: [CorrectnessMask([true, false, true, true, index % 2 == 0]), CorrectnessMask([])],
            agreements: index == 0
                ? nil
                : [
                    StudyAgreement(same: CorrectnessMask([true, true, index == 1, false, true]), divergence: 0.25),
                    StudyAgreement(same: CorrectnessMask([]), divergence: 0),
                ])
    }

    private func content() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: file)) }

    private func write() throws {
        let store = try StudyStore(folder: folder)
        try store.bind("base", .object(["sha256": "1", "layers": .int(3)]))
        for index in 0..<3 { try store.keep(result(index)) }
    }

    @Test func whatIsKeptIsThereAgain() throws {
        try write()
        let before = try content()
        try write()
        let store = try StudyStore(folder: folder + "/")
        #expect(store.result("sum", ["b2", "a"]) == result(2) && store.result("sum", ["a"]) == nil)
        #expect(store.fact("base")?.objectValue?["layers"]?.intValue == 3 && store.factNames == ["base"])
        // Facts that are known are not written again; results are, and the last one counts.
        #expect(try content().starts(with: before))
    }

    @Test func aFileCutAnywhereGoesOnWithItsWholeLines() throws {
        try write()
        let whole = try content()
        for count in 0..<whole.count {
            try whole.prefix(count).write(to: URL(fileURLWithPath: file))
            let store = try StudyStore(folder: folder)
            let lines = whole.prefix(count).count { $0 == 10 }
            #expect((0..<3).count { store.result("sum", ["a", "b\($0)"]) != nil } == max(0, lines - 2))
            try store.bind("base", .object(["sha256": "1", "layers": .int(3)]))
            for index in 0..<3 where store.result("sum", ["a", "b\(index)"]) == nil { try store.keep(result(index)) }
            #expect(try content() == whole, "cut at \(count)")
        }
    }

    @Test func anotherStudyIsRefusedByName() throws {
        try write()
        let store = try StudyStore(folder: folder)
        let error = #expect(throws: ModelError.self) {
            try store.bind("base", .object(["sha256": "2", "layers": .int(3)]))
        }
        #expect(error?.reason == "belongs to another study: base: sha256 was 1, now 2")
        #expect(
            throws: ModelError(file, "belongs to another study: base was {\"sha256\": \"1\", \"layers\": 3}, now 5")
        ) {
            try store.bind("base", .int(5))
        }
    }

    @Test func twoProcessesCannotWorkOnOneStudy() throws {
        let store = try StudyStore(folder: folder)
        #expect(throws: ModelError(folder, "another process is working on this study")) {
            try StudyStore(folder: folder)
        }
        withExtendedLifetime(store) {}
    }

    @Test func whatIsNoStudyIsRefused() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: folder + "/notes.txt"))
        #expect(throws: ModelError(folder, "holds \"notes.txt\" but no results.jsonl: not a study")) {
            try StudyStore(folder: folder)
        }
        #expect(throws: ModelError.self) { try StudyStore(folder: "/proc/none/study") }
        for (line, reason) in [
            ("{\"format\": \"else\"}", "not the results of a study of this version of mergevit"),
            ("no JSON", "line 1: damaged: expected an object"),
        ] {
            try Data((line + "\n").utf8).write(to: URL(fileURLWithPath: file))
            #expect(throws: ModelError(file, reason)) { try StudyStore(folder: folder) }
        }
    }

    @Test func damageInTheMiddleIsNamed() throws {
        try write()
        let lines = String(decoding: try content(), as: UTF8.self).split(separator: "\n").map(String.init)
        for (line, damage) in [(2, "{\"result\": {}}"), (3, "{\"fact\": \"x\"}"), (2, "{\"fact\""), (1, "")] {
            var damaged = lines
            damaged[line] = damage
            try Data((damaged.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
            let error = #expect(throws: ModelError.self) { try StudyStore(folder: folder) }
            #expect(error?.reason.hasPrefix("line \(line + 1): damaged: ") == true)
        }
        // Marks that do not fit their number of images are damage, too.
        let bad = lines[2].replacingOccurrences(of: "\"images\": 5", with: "\"images\": 9")
        try Data((lines[0] + "\n" + bad + "\n").utf8).write(to: URL(fileURLWithPath: file))
        #expect(throws: ModelError(file, "line 2: damaged: expected a fact or a result")) {
            try StudyStore(folder: folder)
        }
    }
}
