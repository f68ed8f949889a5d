import Foundation
import Tensors
import TestSupport
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Labelling
@testable import Workflows

/// A prediction of which only the class is known.
private func prediction(_ truth: Int, _ predicted: Int) -> Prediction {
    Prediction(truth: truth, predicted: predicted, rank: truth == predicted ? 1 : nil, confidence: nil, logLoss: nil)
}

@Suite struct EvaluationRunTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func run(
        _ tasks: [EvaluationTask], batchSize: Int = 4, threads: Int = 2, rows: String? = nil
    ) throws -> [TaskPredictions] {
        let output = try rows.map { try OutputFile.replacing(folder[$0]) }
        let predictions = try evaluate(
            EvaluationPlan(tasks), preparer: FakePreparer(yields: 50), classifier: FakeClassifier(),
            rows: output.map(PredictionRows.init), options: LabellingOptions(batchSize: batchSize, threads: threads)
        ).predictions
        try output?.commit()
        return predictions
    }

    /// Files that hold their number; what `FakeClassifier` says of them is known.
    private func task(_ name: String, _ classes: [String], _ numbers: [Int]) throws -> EvaluationTask {
        for number in numbers { try folder.write("f/\(number)", "\(number)") }
        let images = LabelledImages(
            source: folder["f"], classes: classes,
            items: numbers.map { .init(path: folder["f/\($0)"], class: $0 % classes.count) })
        return try EvaluationTask(name: name, classes: classes, images: images)
    }

    @Test func answersAreThoseOfEachTasksOwnHead() throws {
        let tasks = [try task("b", ["no", "yes"], Array(14...40)), try task("a", ["0", "1", "2"], Array(30...60))]
        let reference = try run(tasks, batchSize: 1, threads: 1)
        for (task, predictions) in zip(tasks, reference) {
            #expect(predictions.classes.count == task.items.count)
            for (item, found) in zip(task.items, predictions.classes) {
                let value = try #require(Float(String(decoding: item.path.lastComponent, as: UTF8.self)))
                let logits = task.name == "b" ? [value, -value] : [sin(value), cos(value), value / 100]
                #expect(found == Prediction(truth: item.truth, logits: logits))
            }
        }
        for (batchSize, threads) in [(3, 1), (8, 5), (64, 2)] {
            #expect(try run(tasks, batchSize: batchSize, threads: threads) == reference)
        }
    }

    @Test func anImageOfTwoTasksIsSeenOnce() throws {
        let tasks = [try task("a", ["0", "1", "2"], Array(1...12)), try task("b", ["no", "yes"], Array(5...16))]
        let classifier = FakeClassifier()
        let (predictions, progress) = try evaluate(
            EvaluationPlan(tasks), preparer: FakePreparer(), classifier: classifier,
            options: LabellingOptions(threads: 2))
        #expect(classifier.batches.reduce(0, +) == 16 && progress.done == 16)
        #expect(predictions.map(\.known.count) == [12, 11])  // The model has no finite prediction for 13.
    }

    @Test func whatCannotBeAnsweredIsNamed() throws {
        var evaluated = try task("b", ["no", "yes"], [1, 2])
        try folder.write("f/bad", "garbage")
        try folder.write("f/13", "13")
        try folder.write("f/inside/a", "1")
        let names = ["1", "bad", "13", "inside", "gone", "2"]
        evaluated = try EvaluationTask(
            name: "b", classes: ["no", "yes"],
            images: LabelledImages(
                source: folder["f"], classes: ["yes"], items: names.map { .init(path: folder["f/\($0)"], class: 0) }))
        let predictions = try run([evaluated], rows: "rows.csv")[0]
        #expect(predictions.classes.map { $0 != nil } == [true, false, false, false, false, true])
        #expect(
            predictions.failures.map(\.reason) == [
                "not a number, but \"garbage\"", "the model gave a value that is not finite", "not a regular file",
                "No such file or directory",
            ])
        let rows = try #require(folder.content("rows.csv")).replacing("\(folder.path)/", with: "")
        #expect(
            rows == """
                path,task,status,true_label,true_score,true_rank,label,score,label_2,score_2,label_3,score_3,label_4,\
                score_4,label_5,score_5
                f/1,b,ok,yes,0.119203,2,no,0.880797,yes,0.119203,,,,,,
                f/bad,b,"error: not a number, but ""garbage\""",yes,,,,,,,,,,,,
                f/13,b,error: the model gave a value that is not finite,yes,,,,,,,,,,,,
                f/inside,b,error: not a regular file,yes,,,,,,,,,,,,
                f/gone,b,error: No such file or directory,yes,,,,,,,,,,,,
                f/2,b,ok,yes,0.017986,2,no,0.982014,yes,0.017986,,,,,,

                """)
    }

    @Test func classesAreMatchedByName() throws {
        let images = LabelledImages(
            source: folder["f"], classes: ["b", "stranger", "a"],
            items: [("1", 0), ("2", 1), ("3", 2), ("4", 1)].map { .init(path: folder[$0], class: $1) })
        let task = try EvaluationTask(name: "t", classes: ["a", "b", "c"], images: images)
        #expect(task.items.map(\.truth) == [1, 0])
        #expect(task.unknown == [.init(name: "stranger", images: 2)] && task.unknownImages == 2)
        #expect(task.classesWithoutImages == ["c"])
        let error = #expect(throws: FileError.self) {
            try EvaluationTask(name: "t", classes: ["x"], images: images)
        }
        #expect(error?.description.contains("none of its classes (b, stranger, a) is one of t's: x") == true)
    }

    @Test func aModelWithoutTheTaskIsRefused() throws {
        let task = try task("c", ["no", "yes"], [1, 2])
        #expect(throws: UnknownTask("c", tasks: ["a", "b"])) { try run([task]) }
    }

    @Test func classesInAnotherOrderAreTheSame() throws {
        var predictions = TaskPredictions(count: 2)
        predictions.classes[0] = prediction(0, 2)
        let moved = try #require(predictions.reindexed(from: ["a", "b", "c"], to: ["c", "a", "b"]))
        #expect(moved.classes == [prediction(1, 0), nil])
        #expect(predictions.reindexed(from: ["a", "b"], to: ["a", "b", "c"]) == nil)
        #expect(predictions.reindexed(from: ["a", "b"], to: ["a", "c"]) == nil)
    }

    @Test func comparisonsCountWhoIsRight() throws {
        let task = try task("b", ["no", "yes"], Array(1...5))
        var (a, b) = (TaskPredictions(count: 5), TaskPredictions(count: 5))
        // Both right, only A, only B, both wrong in the same way, and one that B has not answered.
        a.classes = [prediction(1, 1), prediction(0, 0), prediction(1, 0), prediction(0, 1), prediction(1, 1)]
        b.classes = [prediction(1, 1), prediction(0, 1), prediction(1, 1), prediction(0, 1), nil]
        let compared = TaskComparison(task, a, b)
        #expect(compared.images == 4 && compared.bothRight == 1 && compared.bothWrong == 1)
        #expect(compared.test.onlyFirst == 1 && compared.test.onlySecond == 1 && compared.disagreements == 2)
        #expect(compared.metrics.map { $0?.top1.value } == [0.5, 0.5])
        #expect(compared.gain?.value == 0)
        let rows = Comparison(
            tasks: [compared], names: ["a", "b"], models: [.null, .null], bootstrap: BootstrapOptions(), version: "0"
        ).disagreements
        let text = String(decoding: rows, as: UTF8.self).replacing("\(folder.path)/", with: "")
        #expect(
            text == """
                path,task,true_label,label_a,score_a,label_b,score_b,right
                f/2,b,no,no,,yes,,a
                f/3,b,yes,no,,yes,,b

                """)
    }
}
