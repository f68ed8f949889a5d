import Foundation
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// Checkpoints on disk.
@Suite struct TrainingCheckpointTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func checkpoints(_ binding: JSONObject = ["lr": .double(0.5)]) throws -> CheckpointFolder {
        try CheckpointFolder.create(output: folder.path("adapter"))
        return CheckpointFolder(output: folder.path("adapter"), binding: binding)
    }

    private func content(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: folder.path(".adapter.training/\(name)")))
    }

    @Test func theFolderStandsBesideTheOutput() {
        #expect(CheckpointFolder.path(output: "a/b") == "a/.b.training")
        #expect(CheckpointFolder.path(output: "/a//") == "/.a.training")
        #expect(CheckpointFolder.path(output: "b/") == ".b.training")
    }

    @Test func aRunGoesOnFromTheDiskToTheSameBits() throws {
        let whole = try TrainingRunTests.finished(TrainingRunTests.run())
        let run = try TrainingRunTests.run()
        let checkpoints = try checkpoints()
        #expect(try checkpoints.load() == nil)
        while true {
            try checkpoints.save(run.snapshot)
            try checkpoints.save(run.snapshot)
            #expect(try folder.entries(".adapter.training").count == 2)
            let other = try TrainingRunTests.run()
            try other.restore(try #require(try checkpoints.load()))
            #expect(try TrainingRunTests.finished(other) == whole)
            if run.isFinished { break }
            _ = try run.advance()
        }
        checkpoints.remove()
        #expect(try folder.entries() == [])
    }

    /// A process that is killed leaves any number of the files that a save writes, the last of them cut anywhere.
    @Test func whateverAKilledSaveLeavesAWholeCheckpointIsFound() throws {
        let run = try TrainingRunTests.run()
        let checkpoints = try checkpoints()
        _ = try run.advance()
        try checkpoints.save(run.snapshot)
        let before = try content("checkpoint.json")
        let steps = run.steps
        _ = try run.advance()
        // The tensors of the second checkpoint, cut short; no manifest yet.
        try folder.write(".adapter.training/state-2-0.safetensors", Data([1, 2, 3]))
        #expect(try #require(try checkpoints.load()).state.steps == steps)
        try checkpoints.save(run.snapshot)
        let after = try content("checkpoint.json")
        #expect(try #require(try checkpoints.load()).state.steps == steps + 1)
        // Tensors of both, a manifest that is cut short under its temporary name.
        try folder.write(".adapter.training/checkpoint.json.partial", after.prefix(20))
        #expect(try #require(try checkpoints.load()).state.steps == steps + 1)
        #expect(before != after)
        _ = try run.advance()
        try checkpoints.save(run.snapshot)
        #expect(try folder.entries(".adapter.training") == ["checkpoint.json", "state-3-0.safetensors"])
    }

    @Test func aCheckpointOfAnotherRunIsRefusedByName() throws {
        try checkpoints(["lr": .double(0.5), "rank": .int(16), "layers": "all", "old": .int(1)])
            .save(TrainingRunTests.run().snapshot)
        let other = try checkpoints(["lr": .double(0.25), "rank": .int(16), "layers": .null, "new": "x"])
        let expected = ModelError(
            folder.path(".adapter.training"),
            "belongs to another run: lr was 0.5, now 0.25; layers was all, now not given; old was 1, now not given; "
                + "new was not given, now x")
        #expect(throws: expected) { try other.load() }
    }

    @Test(arguments: [
        ("{}", "not a checkpoint of this version of mergevit"),
        ("[]", "damaged: expected an object"),
        (
            #"{"format": "mergevit-training-checkpoint", "format_version": 1, "run": {}, "tensors": "state-1-0"}"#,
            #"damaged: expected "run", "state" and "tensors""#
        ),
        (
            #"{"format": "mergevit-training-checkpoint", "format_version": 2}"#,
            "not a checkpoint of this version of mergevit"
        ),
    ])
    func aDamagedCheckpointIsAnError(content: String, reason: String) throws {
        let checkpoints = try checkpoints()
        try folder.write(".adapter.training/checkpoint.json", Data(content.utf8))
        #expect(throws: ModelError(folder.path(".adapter.training/checkpoint.json"), reason)) {
            try checkpoints.load()
        }
    }

    @Test func anotherClassifierIsRefused() throws {
        let checkpoints = try checkpoints()
        var snapshot = try TrainingRunTests.run().snapshot
        snapshot.classifier.removeLast()
        try checkpoints.save(snapshot)
        let loaded = try #require(try checkpoints.load())
        #expect(throws: (any Error).self) { try TrainingRunTests.run().restore(loaded) }
    }
}
