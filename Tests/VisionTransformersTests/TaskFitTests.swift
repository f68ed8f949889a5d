import Files
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// How well images fit tasks, and the file that keeps it.
@Suite struct TaskFitTests {
    private let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    /// Mean (1, 0, 0), variance 4 along the second axis and ½ along the others.
    private static let distribution = SummaryDistribution(
        mean: [1, 0, 0], directions: [0, 1, 0], variances: [4, 0.5])

    @Test func distancesAreThoseOfTheNormalDistribution() {
        let scratch = FloatBuffer(count: 3)
        // 2² / ½ + 6² / 4 + 1² / ½
        #expect(Self.distribution.distance([3, 6, -1], scratch: scratch) == 19)
        #expect(Self.distribution.distance([1, 0, 0], scratch: scratch) == 0)
        let background = SummaryDistribution(mean: [0, 0, 0], directions: [], variances: [2])
        // 19 less half of (9 + 36 + 1) / 2
        #expect(GroupFit.score([3, 6, -1], Self.distribution, background: background) == 7.5)
    }

    @Test func aValueIsTheShareThatLiesAtLeastAsFar() {
        let fit = TaskFit(task: "corn", distribution: Self.distribution, heldOut: [3, 1, 2, 2])
        #expect(fit.heldOut == [1, 2, 2, 3])
        #expect(fit.value(score: 0) == 1)
        #expect(fit.value(score: 1) == 1)
        #expect(fit.value(score: 1.5) == 0.8)
        #expect(fit.value(score: 2) == 0.8)
        #expect(fit.value(score: 2.5) == 0.4)
        #expect(fit.value(score: 3) == 0.4)
        #expect(fit.value(score: 4) == 0.2 && fit.smallestValue == 0.2)
        #expect(fit.value(score: .infinity) == 0.2 && fit.value(score: .nan) == 0.2)
    }

    private let file = FitFile(groups: [
        GroupFit(
            background: SummaryDistribution(mean: [0, 1, 2], directions: [], variances: [2]),
            tasks: [
                "corn": TaskFit(task: "corn", distribution: distribution, heldOut: [1, 2]),
                "trash": TaskFit(task: "trash", distribution: distribution, heldOut: [5]),
            ]), nil,
    ])

    @Test func aFileGivesTheFitsAgain() throws {
        let tasks = [["trash", "flowers", "corn"], ["aerial"]]
        #expect(try FitFile(folder: scratch.path, tasks: tasks, summaryCount: 3) == nil)
        try file.write(to: scratch.path(FitFile.name), tasks: tasks)
        let read = try #require(try FitFile(folder: scratch.path, tasks: tasks, summaryCount: 3))
        #expect(read.fit("corn")?.heldOut == [1, 2] && read.fit("trash")?.heldOut == [5])
        #expect(read.fit("flowers") == nil && read.groups.count == 2 && read.groups[1] == nil)
        #expect(read.groups[0]?.background.variances == [2] && read.groups[0]?.background.rank == 0)
        try read.write(to: scratch.path("again"), tasks: tasks)
        #expect(try scratch.read("again") == scratch.read(FitFile.name))
    }

    /// Writes a file of other tensors, and expects an error.
    private func refused(
        _ change: (inout [(name: String, tensor: Tensor)]) -> Void, metadata: [String: String]? = nil, _ reason: String
    ) throws {
        var tensors: [(name: String, tensor: Tensor)] = [
            ("background/1.mean", Tensor(shape: [3])), ("background/1.directions", Tensor(shape: [0, 3])),
            ("background/1.variances", Tensor(shape: [1], repeating: 1)), ("corn.mean", Tensor(shape: [3])),
            ("corn.directions", Tensor(shape: [1, 3])), ("corn.variances", Tensor(shape: [2], repeating: 1)),
            ("corn.held_out", Tensor(shape: [2])),
        ]
        change(&tensors)
        let path = scratch.path(FitFile.name)
        let writer = try SafetensorsWriter(
            path: path, declarations: tensors.map { .init(name: $0.name, shape: $0.tensor.shape) },
            metadata: metadata ?? ["format": "mergevit fit", "format_version": "1"])
        for (name, tensor) in tensors { try writer.append(name, tensor) }
        try writer.finish()
        do {
            _ = try FitFile(folder: scratch.path, tasks: [["corn"]], summaryCount: 3)
            Issue.record("was read: expected \(reason)")
        } catch { #expect("\(error)" == "\(path): \(reason)") }
    }

    @Test func hostileFilesAreRefusedByName() throws {
        try refused({ $0.removeLast() }, "no tensor \"corn.held_out\"")
        try refused({ $0[6].tensor = Tensor(shape: [0]) }, "corn.held_out: expected numbers, found none")
        try refused({ $0[6].tensor = Tensor(shape: [1, 2]) }, "corn.held_out: expected [any], found [1, 2]")
        try refused({ $0[5].tensor.values[1] = 0 }, "corn.variances: expected positive numbers")
        try refused({ $0[5].tensor.values[0] = -1 }, "corn.variances: expected positive numbers")
        try refused({ $0[5].tensor.values[0] = .leastNonzeroMagnitude }, "corn.variances: expected positive numbers")
        try refused({ $0[5].tensor = Tensor(shape: [3], repeating: 1) }, "corn.variances: expected [2], found [3]")
        try refused({ $0[4].tensor = Tensor(shape: [1, 4]) }, "corn.directions: expected [any, 3], found [1, 4]")
        try refused({ $0[3].tensor = Tensor(shape: [2]) }, "corn.mean: expected [3], found [2]")
        try refused(
            { $0[3].tensor.values[1] = .nan }, "tensor \"corn.mean\": element 1 is nan, not a finite number")
        try refused({ $0.removeFirst() }, "no tensor \"background/1.mean\"")
        try refused(
            { $0.append(("dogs.mean", Tensor(shape: [3]))) }, "tensor \"dogs.mean\" belongs to no task of bundle.json")
        try refused(
            { _ in }, metadata: ["format": "pt"], "format: expected \"mergevit fit\", found \"pt\"")
        try refused(
            { _ in }, metadata: ["format": "mergevit fit", "format_version": "2"],
            "format_version: expected 1, found \"2\"")
    }

    @Test func aCutFileIsRefused() throws {
        try file.write(to: scratch.path(FitFile.name), tasks: [["corn", "trash"], []])
        let bytes = try scratch.read(FitFile.name)
        for count in stride(from: 0, to: bytes.count, by: 7) {
            try scratch.write(FitFile.name, Array(bytes.prefix(count)))
            #expect(throws: FileError.self) {
                try FitFile(folder: scratch.path, tasks: [["corn", "trash"], []], summaryCount: 3)
            }
        }
    }
}
