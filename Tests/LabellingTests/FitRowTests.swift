import TestSupport
import Testing
import VisionTransformers

@testable import Labelling

/// Rows with how well images fit tasks.
@Suite struct FitRowTests {
    private static let tasks = [
        TaskLabels(name: "corn", classes: ["blight", "rust"], hasFit: true),
        TaskLabels(name: "age", classes: ["years"], activation: .identity),
        TaskLabels(name: "tags", classes: ["sky", "sea"], activation: .sigmoid, hasFit: true),
        TaskLabels(name: "size", classes: ["w", "h"], activation: .identity, hasFit: true),
    ]

    /// The rows of an image that fits all tasks, of one that fits tags alone, and of a failure.
    private func rows(_ change: (inout RowOptions) -> Void = { _ in }) throws -> String {
        var options = RowOptions()
        options.scores = .logit
        change(&options)
        let writer = try RowWriter(tasks: Self.tasks, options: options)
        writer.appendHeader()
        for outputs: [Float] in [[1, 2, 40, 3, -3, 5, 6, 0.5, 0.75, 1], [2, 1, 41, 3, 4, 7, 8, 0.01, 0.25, 0.02]] {
            _ = outputs.withUnsafeBufferPointer { writer.append(path: Array("a.png".utf8), logits: $0) }
        }
        writer.appendFailure(path: Array("b.png".utf8), reason: "damaged")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func everyTaskWithAFitHasAColumn() throws {
        let expected = """
            path,status,corn,corn_score,corn_fit,age,tags,tags_score,tags_fit,size:w,size:h,size_fit
            a.png,ok,rust,2.000000,0.500000,40.0,sky,3.000000,0.750000,5.0,6.0,1.000000
            a.png,ok,blight,2.000000,0.010000,41.0,sea|sky,4.000000|3.000000,0.250000,7.0,8.0,0.020000
            b.png,error: damaged,,,,,,,,,,

            """
        #expect(try rows() == expected)
    }

    @Test func answersBelowTheSmallestFitAreEmpty() throws {
        let expected = """
            path,status,best_task,corn,corn_score,corn_fit,age,tags,tags_score,tags_fit,size:w,size:h,size_fit
            a.png,ok,size,rust,2.000000,0.500000,40.0,sky,3.000000,0.750000,5.0,6.0,1.000000
            a.png,below fit: corn size,tags,,2.000000,0.010000,41.0,sea|sky,4.000000|3.000000,0.250000,,,0.020000
            b.png,error: damaged,,,,,,,,,,,

            """
        let actual = try rows {
            $0.minimumFit = 0.05
            $0.writesBestTask = true
        }
        #expect(actual == expected)
    }

    @Test func aTaskHasItsOwnSmallestFitAndAThresholdBeside() throws {
        let expected = """
            path,status,corn,corn_score,corn_fit,tags,tags_score,tags_fit
            a.png,below threshold: corn,,2.000000,0.500000,sky,3.000000,0.750000
            a.png,below fit: tags; below threshold: corn,,2.000000,0.010000,,,0.250000
            b.png,error: damaged,,,,,,

            """
        let actual = try rows {
            $0.minimumFits = ["tags": 0.3]
            $0.thresholds = ["corn": 0.9]
            $0.tasks = ["corn", "tags"]
        }
        #expect(actual == expected)
    }

    @Test func longRowsHaveOneColumnForAllTasks() throws {
        let expected = """
            path,status,best_task,task,rank,label,score,fit
            a.png,ok,size,corn,1,rust,2.000000,0.500000
            a.png,ok,size,age,1,years,40.0,
            a.png,ok,size,tags,1,sky,3.000000,0.750000
            a.png,ok,size,size,1,w,5.0,1.000000
            a.png,ok,size,size,2,h,6.0,1.000000
            a.png,below fit: corn tags size,,corn,1,,2.000000,0.010000
            a.png,below fit: corn tags size,,age,1,years,41.0,
            a.png,below fit: corn tags size,,tags,,,,0.250000
            a.png,below fit: corn tags size,,size,1,w,,0.020000
            a.png,below fit: corn tags size,,size,2,h,,0.020000
            b.png,error: damaged,,,,,,

            """
        let actual = try rows {
            $0.layout = .long
            $0.minimumFit = 0.3
            $0.writesBestTask = true
        }
        #expect(actual == expected)
    }

    @Test func jsonLinesHaveTheFitInTheTask() throws {
        let expected = """
            {"path":"a.png","status":"ok","best_task":"size","tasks":{"corn":{"label":"rust","score":2.000000,\
            "fit":0.500000},"age":{"values":{"years":40.0}},"tags":{"labels":[{"label":"sky","score":3.000000}],\
            "fit":0.750000},"size":{"values":{"w":5.0,"h":6.0},"fit":1.000000}}}
            {"path":"a.png","status":"below fit: corn tags size","best_task":null,"tasks":{"corn":{"label":null,\
            "score":2.000000,"fit":0.010000},"age":{"values":{"years":41.0}},"tags":{"labels":[],"fit":0.250000},\
            "size":{"values":{"w":null,"h":null},"fit":0.020000}}}
            {"path":"b.png","status":"error: damaged","best_task":null,"tasks":{}}

            """
        let actual = try rows {
            $0.format = .jsonl
            $0.minimumFit = 0.3
            $0.writesBestTask = true
        }
        #expect(actual == expected)
    }

    @Test func fitsThatThereAreNotAreRefused() throws {
        #expect(throws: LabellingError.noFit(task: nil)) {
            try rows {
                $0.tasks = ["age"]
                $0.minimumFit = 0.05
            }
        }
        #expect(throws: LabellingError.noFit(task: "age")) { try rows { $0.minimumFits = ["age": 0.05] } }
    }
}
