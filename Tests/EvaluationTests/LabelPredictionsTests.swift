import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Reports

/// Files of predictions of heads that are no softmax.
@Suite struct LabelPredictionsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func file(
        _ table: String, _ activation: HeadActivation, separator: String = "|"
    ) throws -> PredictionsFile {
        let path = BytePath(try folder.write("table.csv", table.replacing("@", with: "\(folder["data"])/")))
        return try PredictionsFile(
            path, reading: PredictionsReading(activations: ["t": activation], separator: separator))
    }

    /// Four images with the labels a and b, a, none and b.
    private func images() throws -> MultiLabelImages {
        try MultiLabelImages(
            source: folder["data"],
            rows: [("1", "a|b"), ("2", "a"), ("3", ""), ("4", "b")].enumerated().map { line, row in
                (folder["data/\(row.0)"], row.1, line + 2)
            }, separator: "|")
    }

    private func predictions(
        _ table: String, threshold: Double? = nil, separator: String = "|"
    ) throws -> (task: EvaluationTask, predictions: TaskPredictions) {
        try file(table, .sigmoid, separator: separator).predictions(to: "t", images: images(), threshold: threshold)
    }

    private static let wide = """
        path,status,t,t_score,t:c,t:b,t:a,u,u_score
        @1,ok,b|a,0.900000|0.600000,0.100000,0.900000,0.600000,x|y,0.7|0.6
        @2,ok,,,0.100000,0.200000,0.300000,,
        @3,ok,c,0.700000,0.700000,0.200000,0.300000,x,0.9
        @4,error: gone,,,,,,,
        """

    @Test func wideRowsWithAllScores() throws {
        let path = BytePath(try folder.write("wide.csv", Self.wide.replacing("@", with: "\(folder["data"])/")))
        let file = try PredictionsFile(
            path, reading: PredictionsReading(tasks: ["t"], activations: ["t": .sigmoid]))
        #expect(file.tasks == ["t", "u"])
        let (task, found) = try file.predictions(to: "t", images: images())
        #expect(task.classes == ["c", "b", "a"] && task.classesWithoutImages == ["c"])
        #expect(found.labels.map { $0?.truth } == [[1, 2], [2], [], nil])
        #expect(found.labels.map { $0?.predicted } == [[1, 2], [], [0], nil])
        #expect(found.labels[0]?.scores == [0.1, 0.9, 0.6])
        #expect(found.missing.isEmpty && found.threshold == nil)
        #expect(found.failures == [.init(path: folder["data/4"], reason: "gone")])
        // With a threshold the labels are chosen again.
        let lower = try file.predictions(to: "t", images: images(), threshold: 0.3).predictions
        #expect(lower.labels.map { $0?.predicted } == [[1, 2], [2], [0, 2], nil] && lower.threshold == 0.3)
    }

    @Test func logitsBecomeProbabilities() throws {
        let found = try predictions("path,status,t,t:a,t:b\n@1,ok,a,2.000000,-1.000000\n@2,ok,b,-3.000000,0.000000\n")
            .predictions
        #expect(abs(try #require(found.labels[0]?.scores[0]) - 0.8807970779778823) < 1e-12)
        #expect(found.labels[1]?.scores[1] == 0.5)
    }

    @Test func labelsAloneAreEnoughForF1() throws {
        let table = "path,status,t\n@1,ok,b;a\n@2,ok,z\n@3,ok,\n@4,ok,\n"
        let (task, found) = try predictions(table, separator: ";")
        #expect(task.classes == ["a", "b", "z"])
        #expect(found.labels.map { $0?.predicted } == [[0, 1], [2], [], []])
        #expect(found.labels.allSatisfy { $0?.scores == [] })
        #expect(found.missing.contains { $0.contains("mean average precision needs the scores of all classes") })
        let error = #expect(throws: FileError.self) { try predictions(table, threshold: 0.5, separator: ";") }
        #expect(error?.description.contains("a threshold needs the scores of all classes") == true)
        #expect(error?.remedy as? PredictionsRemedy == .writeAllScores)
    }

    @Test func longRowsTellAsMuchAsWideOnes() throws {
        let chosen = """
            path,status,task,rank,label,score
            @1,ok,t,1,b,0.900000
            @1,ok,t,2,a,0.600000
            @2,ok,t,,,
            @3,ok,t,1,c,0.700000
            @4,error: gone,,,,
            """
        let (task, found) = try predictions(chosen)
        #expect(task.classes == ["a", "b", "c"])
        #expect(found.labels.map { $0?.predicted } == [[0, 1], [], [2], nil] && found.missing.count == 2)
        var all = "path,status,task,rank,label,score\n"
        for image in 1...4 {
            for (rank, label) in ["b", "a"].enumerated() {
                all += "@\(image),ok,t,\(rank + 1),\(label),0.\(8 - 2 * rank - image % 2)00000\n"
            }
        }
        let every = try predictions(all).predictions
        #expect(every.missing.isEmpty && every.threshold == 0.5)
        #expect(every.labels[0]?.scores == [0.5, 0.7] && every.labels[0]?.predicted == [0, 1])
        #expect(every.labels[1]?.scores == [0.6, 0.8])
    }

    @Test(arguments: [
        ("path,status,t,t_score\n@1,ok,a|b,0.9\n", "line 2: 2 labels in column 3, 1 scores"),
        ("path,status,t,t_score\n@1,ok,a,high\n", "line 2: expected scores in column 4, found \"high\""),
        ("path,status,t\n@1,ok,a|\n", "line 2: column 3: an empty part in \"a|\""),
        ("path,status,t,t_score,t_2\n@1,ok,a,0.9,b\n", "expected one column of labels of t, found 2"),
        ("path,status,t,t:a,t:b\n@1,ok,z,0.5,0.5\n", "the label \"z\" is not among the classes"),
        ("path,status,t:a,t:b\n@1,ok,0.5,0.5\n", "expected one column of labels of t, found 0"),
        ("path,status,task,rank,label,score\n@1,ok,t,1,a,0.9\n@1,ok,t,,,\n", "line 3: "),
    ]) func whatLabelDoesNotWriteIsRefused(_ table: String, _ reason: String) throws {
        let error = #expect(throws: FileError.self) { try predictions(table) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    /// What is of a sigmoid or of no activation is not taken for a softmax.
    @Test(
        arguments: [
            ("path,status,t\n@1,ok,a|b\n", "cells of t hold several labels", .readAs(.sigmoid, task: "t")),
            ("path,status,t\n@1,ok,a\n@2,ok,\n", "line 3: column 3 has no label", .allowNoLabel(task: "t")),
            (
                "path,status,t,t:a,t:b\n@1,ok,a,0.900000,0.800000\n", "do not add up to 1", .readAs(.sigmoid, task: "t")
            ),
            (
                "path,status,t,t_score\n@1,ok,a|b,0.9|0.8\n", "line 2: column 4 holds several scores",
                .readAs(.sigmoid, task: "t")
            ),
            ("path,status,task,rank,label\n@1,ok,t,,\n", "found \"t\" and \"\"", .allowNoLabel(task: "t")),
            (
                "path,status,t:a,t:b\n@1,ok,3.0,4.5\n", "columns of values and none of labels",
                .readAs(.identity, task: "t")
            ),
        ] as [(String, String, PredictionsRemedy)])
    func otherHeadsAreNotTakenForASoftmax(_ table: String, _ reason: String, _ remedy: PredictionsRemedy) throws {
        let images = LabelledImages(
            source: folder["data"], classes: ["a", "b"],
            items: [.init(path: folder["data/1"], class: 0), .init(path: folder["data/2"], class: 1)])
        let error = #expect(throws: FileError.self) {
            try file(table, .softmax).predictions(to: "t", images: images)
        }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
        #expect(error?.remedy as? PredictionsRemedy == remedy)
    }

    @Test func valuesAreReadFromEveryLayout() throws {
        func values(_ outputs: [String]) -> ImageValues {
            ImageValues(
                source: folder["data"], outputs: outputs, paths: [folder["data/1"], folder["data/2"]],
                values: [[1, 2], [3, 4]].map { Array($0.prefix(outputs.count)) })
        }
        let one = try file("path,status,t\n@1,ok,0.1\n@2,error: gone,\n", .identity)
        #expect(try one.outputs(of: "t") == ["t"])
        let found = try one.predictions(to: "t", images: values(["t"])).predictions
        // 0.1 is the 32-bit float that the model gave.
        #expect(found.values == [ValuePrediction(truth: [1], predicted: [Double(Float(0.1))]), nil])
        for table in [
            "path,status,t:x,t:y\n@1,ok,1.5,-2.0\n@2,ok,1e-07,3.0\n",
            """
            path,status,task,rank,label,score
            @1,ok,t,1,x,1.5
            @1,ok,t,2,y,-2.0
            @2,ok,t,1,x,1e-07
            @2,ok,t,2,y,3.0
            """,
        ] {
            let two = try file(table, .identity)
            #expect(try two.outputs(of: "t") == ["x", "y"])
            let found = try two.predictions(to: "t", images: values(["x", "y"])).predictions
            #expect(found.values.map { $0?.predicted } == [[1.5, -2], [Double(Float(1e-7)), 3]])
        }
        let error = #expect(throws: FileError.self) { try file("path,status,t,t_score\n@1,ok,a,0.5\n", .identity) }
        #expect(error?.description.contains("expected values of t, found columns of labels with scores") == true)
    }
}

@Suite struct MultiLabelImagesTests {
    private func images(_ rows: [(String, String)], separator: String = "|") throws -> MultiLabelImages {
        try MultiLabelImages(
            source: BytePath("t.csv"),
            rows: rows.enumerated().map { (BytePath($1.0), $1.1, $0 + 2) }, separator: separator)
    }

    @Test func cellsHoldAnyNumberOfLabels() throws {
        let found = try images([("1", "b | a"), ("2", ""), ("3", "a|b"), ("4", "  "), ("5", "c"), ("6", "b|b")])
        #expect(found.classes == ["a", "b", "c"])
        #expect(found.sets == [[0, 1], [], [2], [1]])
        #expect(found.items.map(\.class) == [0, 1, 0, 1, 2, 3])
        #expect(found.counts == [2, 3, 1])
        #expect(try images([("1", "a; b|c")], separator: ";").classes == ["a", "b|c"])
    }

    @Test func anImageHasTheLabelsOfAllItsRows() throws {
        let found = try images([("1", "a"), ("2", "b"), ("1", "b"), ("1", "a")])
        #expect(found.items.map { found.labels(of: $0) } == [[0, 1], [1]])
        #expect(throws: FileError.self) { try images([("1", "a"), ("1", "")]) }
        #expect(throws: FileError.self) { try images([("1", "a|")]) }
        #expect(throws: FileError.self) { try images([("1", "")]) }
    }

    @Test func anotherSeparatorIsWarnedOf() throws {
        #expect(try images([("1", "a"), ("2", "a|b"), ("3", "c;d")]).notes == [])
        let notes = try images([("1", "a;b"), ("2", "a"), ("3", "b;c"), ("4", "")]).notes
        #expect(notes.count == 1 && notes[0].text.hasSuffix("some contain \";\""))
        #expect(notes.first?.remedy as? TableRemedy == .nameLabelSeparator)
        // One of four, but made of two others.
        #expect(try images([("1", "a,b"), ("2", "a"), ("3", "b"), ("4", "c")]).notes.count == 1)
        #expect(try images([("1", "a, the first"), ("2", "a"), ("3", "b")]).notes == [])
        #expect(try images([("1", "a|b"), ("2", "a|c")], separator: ";").notes.count == 1)
    }

    @Test func labelsThatAHeadDoesNotHaveAreLeftOut() throws {
        let task = try EvaluationTask(
            name: "t", classes: ["z", "b", "a"], images: images([("1", "a|x"), ("2", "x"), ("3", "a|b")]))
        #expect(task.items.map(\.truth) == [0, 1, 2] && task.truths == .labels([[2], [], [1, 2]]))
        #expect(task.unknown == [.init(name: "x", images: 2)] && task.unknownImages == 0)
        #expect(task.classesWithoutImages == ["z"] && task.activation == .sigmoid)
        #expect(throws: FileError.self) {
            try EvaluationTask(name: "t", classes: ["q"], images: images([("1", "a")]))
        }
    }
}
