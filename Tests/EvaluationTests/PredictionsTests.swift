import TestSupport
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Reports

@Suite struct PredictionsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Four images of two classes; nothing is there but their names.
    private func images() -> LabelledImages {
        LabelledImages(
            source: folder["data"], classes: ["no", "yes"],
            items: [("1", 0), ("2", 0), ("3", 1), ("4", 1)].map { .init(path: folder["data/\($0)"], class: $1) })
    }

    private func predictions(
        _ table: String, task: String = "t", images: LabelledImages? = nil
    ) throws -> (task: EvaluationTask, predictions: TaskPredictions) {
        let path = BytePath(try folder.write("table.csv", table.replacing("@", with: "\(folder["data"])/")))
        return try PredictionsFile(path).predictions(to: task, images: images ?? self.images())
    }

    @Test func wideRowsWithAllScores() throws {
        let (task, found) = try predictions(
            """
            path,status,t,t_score,t:yes,t:no,t:maybe
            @1,ok,no,0.700000,0.200000,0.700000,0.100000
            @2,ok,yes,0.500000,0.500000,0.250000,0.250000
            @3,ok,yes,0.900000,0.900000,0.050000,0.050000
            @4,error: the file is empty,,,,,
            @5,ok,maybe,0.800000,0.100000,0.100000,0.800000
            """)
        #expect(task.classes == ["yes", "no", "maybe"])
        #expect(task.classesWithoutImages == ["maybe"])
        #expect(found.missing.isEmpty && found.ranksKnown == .max)
        #expect(found.classes.map { $0?.predicted } == [1, 0, 0, nil])
        #expect(found.classes.map { $0?.rank } == [1, 2, 1, nil])
        #expect(abs(try #require(found.classes[1]?.logLoss) - 1.3862943611198906) < 1e-12)
        #expect(found.failures == [.init(path: folder["data/4"], reason: "the file is empty")])
    }

    @Test func logitsBecomeProbabilities() throws {
        let (_, found) = try predictions(
            """
            path,status,t,t_score,t:no,t:yes
            @1,ok,no,2.000000,2.000000,1.000000
            @2,ok,yes,-1.000000,-3.000000,-1.000000
            @3,ok,yes,0.000000,-9.000000,0.000000
            @4,ok,no,0.250000,0.250000,0.250000
            """)
        #expect(abs(try #require(found.classes[0]?.confidence) - 0.7310585786300049) < 1e-12)
        #expect(abs(try #require(found.classes[1]?.logLoss) - 2.1269280110429727) < 1e-12)
        #expect(found.classes[3]?.confidence == 0.5)
    }

    @Test func theLabelDecidesBetweenScoresThatAreWrittenTheSame() throws {
        let (_, found) = try predictions(
            """
            path,status,t,t_score,t:no,t:yes
            @1,ok,yes,0.500000,0.500000,0.500000
            @2,ok,no,1.000000,1.000000,0.000000
            @3,ok,no,1.000000,1.000000,0.000000
            @4,ok,no,1.000000,1.000000,0.000000
            """)
        #expect(found.classes[0]?.predicted == 1 && found.classes[0]?.rank == 2)
        // A score of 0.000000 is half of the last decimal at the least.
        #expect(abs(try #require(found.classes[2]?.logLoss) - 14.508657738524219) < 1e-12)
    }

    @Test func theBestScoreAloneIsEnoughForCalibration() throws {
        let (task, found) = try predictions(
            """
            path,status,t,t_score
            @1,ok,no,0.700000
            @2,ok,perhaps,0.600000
            @3,below threshold: t,,0.400000
            """)
        #expect(task.classes == ["no", "perhaps", "yes"])
        #expect(found.classes.map { $0?.confidence } == [0.7, 0.6, nil, nil])
        #expect(found.classes.allSatisfy { $0?.logLoss == nil })
        #expect(found.missing.contains { $0.contains("log loss") })
        #expect(found.missing.contains { $0.contains("classes are not known") })
        #expect(!found.missing.contains { $0.contains("calibration") })
        #expect(
            found.failures.map(\.reason) == [
                "its label was withheld (below the threshold)", "no row in the predictions",
            ])
    }

    @Test func labelsAloneAreEnoughForAccuracy() throws {
        let (_, found) = try predictions("path,status,t\n@1,ok,no\n@2,ok,no\n@3,ok,no\n@4,ok,yes\n")
        #expect(found.known.count(where: \.isRight) == 3)
        #expect(found.missing.contains { $0.contains("calibration error needs the probability") })
    }

    @Test func longRowsTellAsMuchAsWideOnes() throws {
        let long = """
            path\tstatus\ttask\trank\tlabel\tscore
            @1\tok\tt\t1\tno\t0.700000
            @1\tok\tt\t2\tyes\t0.300000
            @1\tok\tu\t1\tred\t1.000000
            @2\tok\tt\t1\tyes\t0.600000
            @2\tok\tt\t2\tno\t0.400000
            @3\tok\tt\t1\tyes\t0.800000
            @3\tok\tt\t2\tno\t0.200000
            @4\terror: neither\t\t\t\t
            """
        let (task, found) = try predictions(long)
        #expect(task.classes == ["no", "yes"])
        #expect(found.missing.isEmpty)
        #expect(found.classes.map { $0?.rank } == [1, 2, 1, nil])
        #expect(abs(try #require(found.classes[1]?.logLoss) - 0.916290731874155) < 1e-12)
        // One prediction for each image is not all of them.
        let (_, best) = try predictions(
            long.split(separator: "\n").filter { !$0.contains("\t2\t") }.joined(separator: "\n"))
        #expect(best.missing.contains { $0.contains("log loss") })
        #expect(best.classes[1]?.rank == nil && best.classes[1]?.confidence == 0.6)
    }

    @Test func pathsAreTheSameHoweverTheyAreSpelt() throws {
        let here = BytePath("/a/b")
        for (path, expected) in [
            ("c", "/a/b/c"), ("./c//d/", "/a/b/c/d"), ("../c", "/a/c"), ("../../../c", "/c"), ("/x/./y/../z", "/x/z"),
            (".", "/a/b"),
        ] { #expect(BytePath(path).normalized(in: here) == BytePath(expected)) }
    }

    @Test(arguments: [
        ("", "the file is empty"),
        ("label,path\nx,y\n", "expected the columns path,status"),
        ("path,status,t\n@1,ok\n", "line 2: expected 3 cells, found 2"),
        ("path,status,t\n@1,ok,no,no\n", "line 2: expected 3 cells, found 4"),
        ("path,status,t\n@1,fine,no\n", "line 2: status \"fine\""),
        ("path,status,t,t_score\n@1,ok,no,high\n", "line 2: expected a score in column 4, found \"high\""),
        ("path,status,t,t_score\n@1,ok,no,nan\n", "line 2: expected a score in column 4"),
        ("path,status,t\n@1,ok,no\n@1,ok,yes\n", "line 3: "),
        ("path,status,t,t\n@1,ok,no,no\n", "occurs twice"),
        ("path,status,t\n@1,ok,\"no\n", "line 2: a quoted cell"),
        ("path,status,t\n/elsewhere/1,ok,no\n", "none of the 4 images"),
        ("path,status,t,t:no,t:yes\n@1,ok,maybe,0.5,0.5\n", "is not among the classes with scores"),
        ("path,status,task,rank,label\n@1,ok,t,0,no\n", "line 2: expected a task and a rank"),
        ("path,status,task,rank,label\n@1,ok,t,2,no\n", "line 2: rank 2 of t comes after rank 0"),
        ("path,status,task,rank,label\n@1,ok,t,1,no\n@1,ok,t,1,yes\n", "line 3: "),
    ]) func whatLabelDoesNotWriteIsRefused(_ table: String, _ reason: String) throws {
        let error = #expect(throws: FileError.self) { try predictions(table) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func aTaskThatIsNotThereIsRefused() throws {
        #expect(throws: UnknownTask("u", tasks: ["t"])) {
            try predictions("path,status,t\n@1,ok,no\n", task: "u")
        }
    }
}
