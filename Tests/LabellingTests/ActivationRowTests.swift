import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Files
@testable import Labelling

/// Rows of heads that are no softmax.
@Suite struct ActivationRowTests {
    static let tags = TaskLabels(name: "tags", classes: ["sea", "sky", "dog"], activation: .sigmoid)
    static let size = TaskLabels(name: "size", classes: ["width", "height"], activation: .identity)

    /// The rows of three images and a failure.
    private func rows(_ tasks: [TaskLabels], _ images: [[Float]], _ change: (inout RowOptions) -> Void = { _ in })
        throws -> String
    {
        var options = RowOptions()
        change(&options)
        let writer = try RowWriter(tasks: tasks, options: options)
        writer.appendHeader()
        for (index, logits) in images.enumerated() {
            let outcome = logits.withUnsafeBufferPointer { writer.append(path: Array("\(index)".utf8), logits: $0) }
            #expect(outcome == .accepted)
        }
        writer.appendFailure(path: Array("bad".utf8), reason: "no")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Logits of which 0 is 0.5 by the sigmoid, 1 is 0.731059 and -1 is 0.268941.
    private func tags(_ change: (inout RowOptions) -> Void = { _ in }) throws -> String {
        try rows([Self.tags], [[0, 1, -1], [-1, -1, -1], [1, 0, 1]], change)
    }

    private func size(_ change: (inout RowOptions) -> Void = { _ in }) throws -> String {
        try rows([Self.size], [[0.1, -3], [-0.0, 1e-7], [16_777_216, 0.333333343]], change)
    }

    @Test func labelsThatReachTheThresholdShareACell() throws {
        #expect(
            try tags() == """
                path,status,tags,tags_score
                0,ok,sky|sea,0.731059|0.500000
                1,ok,,
                2,ok,sea|dog|sky,0.731059|0.731059|0.500000
                bad,error: no,,

                """)
        #expect(
            try tags { ($0.format, $0.threshold, $0.allScores) = (.tsv, 0.6, true) } == """
                path\tstatus\ttags\ttags_score\ttags:sea\ttags:sky\ttags:dog
                0\tok\tsky\t0.731059\t0.500000\t0.731059\t0.268941
                1\tok\t\t\t0.268941\t0.268941\t0.268941
                2\tok\tsea|dog\t0.731059|0.731059\t0.731059\t0.500000\t0.731059
                bad\terror: no\t\t\t\t\t

                """)
        #expect(
            try tags { $0.scores = .none }
                == "path,status,tags\n0,ok,sky|sea\n1,ok,\n2,ok,sea|dog|sky\nbad,error: no,\n")
        // The threshold is about probabilities, and logits are those of the same labels.
        #expect(
            try tags { ($0.scores, $0.thresholds) = (.logit, ["tags": 0.2]) } == """
                path,status,tags,tags_score
                0,ok,sky|sea|dog,1.000000|0.000000|-1.000000
                1,ok,sea|sky|dog,-1.000000|-1.000000|-1.000000
                2,ok,sea|dog|sky,1.000000|1.000000|0.000000
                bad,error: no,,

                """)
    }

    @Test func aSetOfLabelsIsLongRows() throws {
        #expect(
            try tags { $0.layout = .long } == """
                path,status,task,rank,label,score
                0,ok,tags,1,sky,0.731059
                0,ok,tags,2,sea,0.500000
                1,ok,tags,,,
                2,ok,tags,1,sea,0.731059
                2,ok,tags,2,dog,0.731059
                2,ok,tags,3,sky,0.500000
                bad,error: no,,,,

                """)
        #expect(
            try tags { ($0.layout, $0.allScores, $0.threshold) = (.long, true, 0.9) }.hasPrefix(
                """
                path,status,task,rank,label,score
                0,ok,tags,1,sky,0.731059
                0,ok,tags,2,sea,0.500000
                0,ok,tags,3,dog,0.268941
                1,ok,tags,1,sea,0.268941

                """))
        #expect(
            try tags { ($0.layout, $0.scores, $0.threshold) = (.long, .none, 0.7) } == """
                path,status,task,rank,label
                0,ok,tags,1,sky
                1,ok,tags,,
                2,ok,tags,1,sea
                2,ok,tags,2,dog
                bad,error: no,,,

                """)
    }

    @Test func aSetOfLabelsIsAnArrayInJSON() throws {
        #expect(
            try tags { ($0.format, $0.allScores, $0.threshold) = (.jsonl, true, 0.6) }.hasPrefix(
                """
                {"path":"0","status":"ok","tasks":{"tags":{"labels":[{"label":"sky","score":0.731059}],\
                "scores":{"sea":0.500000,"sky":0.731059,"dog":0.268941}}}}
                {"path":"1","status":"ok","tasks":{"tags":{"labels":[],"scores":\
                {"sea":0.268941,"sky":0.268941,"dog":0.268941}}}}

                """))
        #expect(
            try tags { ($0.format, $0.scores) = (.jsonl, .none) }.hasPrefix(
                #"{"path":"0","status":"ok","tasks":{"tags":{"labels":[{"label":"sky"},{"label":"sea"}]}}}"#))
    }

    @Test func aHeadOfOneOutputSaysYesOrNo() throws {
        let task = TaskLabels(name: "smile", classes: ["smiling"], activation: .sigmoid)
        #expect(
            try rows([task], [[2], [-2]]) { $0.allScores = true } == """
                path,status,smile,smile_score,smile:smiling
                0,ok,smiling,0.880797,0.880797
                1,ok,,,0.119203
                bad,error: no,,,

                """)
    }

    @Test func probabilitiesOfFarLogitsAreExact() throws {
        let text = try rows([Self.tags], [[-1000, 1000, -30]]) { ($0.threshold, $0.format) = (0, .jsonl) }
        #expect(
            text.contains(
                #"[{"label":"sky","score":1.000000},{"label":"dog","score":0.000000},{"label":"sea","score":0.000000}]"#
            ))
    }

    @Test func valuesAreWrittenAsTheyAre() throws {
        let wide = """
            path,status,size:width,size:height
            0,ok,0.1,-3.0
            1,ok,0.0,1e-07
            2,ok,16777216.0,0.33333334
            bad,error: no,,

            """
        #expect(try size() == wide)
        #expect(try size { ($0.scores, $0.allScores) = (.logit, true) } == wide)
        #expect(try size { ($0.scores, $0.guardsFormulas) = (.none, true) } == "\u{FEFF}" + wide)
        let long = """
            path,status,task,rank,label,score
            0,ok,size,1,width,0.1
            0,ok,size,2,height,-3.0
            1,ok,size,1,width,0.0
            1,ok,size,2,height,1e-07
            2,ok,size,1,width,16777216.0
            2,ok,size,2,height,0.33333334
            bad,error: no,,,,

            """
        #expect(try size { $0.layout = .long } == long)
        #expect(try size { ($0.layout, $0.scores) = (.long, .none) } == long)
        #expect(
            try size { ($0.format, $0.allScores) = (.jsonl, true) }.hasPrefix(
                #"{"path":"0","status":"ok","tasks":{"size":{"values":{"width":0.1,"height":-3.0}}}}"#))
        let one = TaskLabels(name: "age", classes: ["LABEL_0"], activation: .identity)
        #expect(try rows([one], [[-1.5]]) == "path,status,age\n0,ok,-1.5\nbad,error: no,\n")
    }

    @Test(arguments: [
        Float.greatestFiniteMagnitude, .leastNonzeroMagnitude, -.leastNormalMagnitude, 0.1, 1 / 3, 123456.789,
    ])
    func valuesReadBackAsTheyWere(_ value: Float) throws {
        var bytes: [UInt8] = []
        ValueFormatter.append(Double(value), to: &bytes)
        #expect(Float(String(decoding: bytes, as: UTF8.self)) == value)
    }

    @Test func headsOfEveryKindStandSideBySide() throws {
        let corn = TaskLabels(name: "corn", classes: ["rust", "healthy"])
        let tasks = [Self.tags, corn, Self.size]
        let images: [[Float]] = [[0, 1, -1, 0, 2, 5, -0.5]]
        #expect(
            try rows(tasks, images) { ($0.topK, $0.thresholds) = (2, ["tags": 0.7]) } == """
                path,status,tags,tags_score,corn,corn_score,corn_2,corn_2_score,size:width,size:height
                0,ok,sky,0.731059,healthy,0.880797,rust,0.119203,5.0,-0.5
                bad,error: no,,,,,,,,

                """)
        #expect(
            try rows(tasks, images) { ($0.layout, $0.scores) = (.long, .none) } == """
                path,status,task,rank,label,score
                0,ok,tags,1,sky,
                0,ok,tags,2,sea,
                0,ok,corn,1,healthy,
                0,ok,size,1,width,5.0
                0,ok,size,2,height,-0.5
                bad,error: no,,,,

                """)
        // One threshold is for all probabilities.
        let writer = try RowWriter(
            tasks: tasks,
            options: {
                var o = RowOptions(); o.threshold = 0.9; return o
            }())
        let outcome = images[0].withUnsafeBufferPointer { writer.append(path: Array("0".utf8), logits: $0) }
        #expect(outcome == .belowThreshold)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "0,below threshold: corn,,,,0.880797,5.0,-0.5\n")
    }

    @Test func whatCannotBeToldApartIsRefused() throws {
        func said(_ tasks: [TaskLabels], _ change: (inout RowOptions) -> Void = { _ in }) -> String {
            do { _ = try rows(tasks, [], change) } catch { return "\(error)" }
            return ""
        }
        let hostile = TaskLabels(name: "t", classes: ["a", "b|c"], activation: .sigmoid)
        #expect(said([hostile]) == "class \"b|c\" of task \"t\" is empty or contains the label separator \"|\"")
        #expect(said([hostile]) { $0.labelSeparator = ";" } == "")
        #expect(said([hostile]) { $0.layout = .long } == "" && said([hostile]) { $0.format = .jsonl } == "")
        // "b|c" + "c" would begin with the separator too early.
        #expect(said([hostile]) { $0.labelSeparator = "cc" }.contains("class \"b|c\""))
        #expect(said([TaskLabels(name: "t", classes: ["a", ""], activation: .sigmoid)]).contains("class \"\" of"))
        #expect(said([TaskLabels(name: "t", classes: ["a|b", ""])]) == "")
        for separator in ["", "0", " - ", ".", "\"", "\n"] {
            #expect(said([hostile]) { $0.labelSeparator = separator }.hasPrefix("the label separator"), "\(separator)")
        }
        let clash = TaskLabels(name: "size", classes: ["width", "width"], activation: .identity)
        #expect(said([clash]) == "two columns would have the name \"size:width\"")
        #expect(said([clash]) { $0.format = .jsonl } == "two classes would have the name \"width\"")
        #expect(said([clash]) { $0.layout = .long } == "")
    }

    @Test func optionsThatNoTaskHasAUseForAreRefused() throws {
        func said(_ tasks: [TaskLabels], _ change: (inout RowOptions) -> Void) -> String {
            do { _ = try rows(tasks, [], change) } catch { return "\(error)" }
            return ""
        }
        #expect(said([Self.size]) { $0.threshold = 0.5 }.hasPrefix("a threshold, but no task gives probabilities"))
        #expect(said([Self.size, Self.tags]) { $0.threshold = 0.5 } == "")
        #expect(said([Self.size, Self.tags]) { $0.thresholds = ["size": 0.5] }.contains("\"size\", whose head has no"))
        #expect(
            said([Self.tags]) { $0.thresholds = ["tag": 0.5] } == "the model has no task \"tag\"; its tasks are: tags")
        #expect(
            said([Self.size, Self.tags]) { ($0.thresholds, $0.tasks) = (["tags": 0.5], ["size"]) }
                == "a threshold for task \"tags\", which is not written")
        #expect(
            said([Self.size, Self.tags]) { $0.topK = 2 }.hasPrefix("the 2 best answers are asked for, but no task"))
    }

    @Test func severalScoresThatBeginWithAMinusAreNoFormula() throws {
        func line(_ logits: [Float]) throws -> Substring? {
            try rows([Self.tags], [logits]) {
                ($0.scores, $0.threshold, $0.guardsFormulas) = (.logit, 0.2, true)
            }.split(separator: "\n").dropFirst().first
        }
        #expect(try line([-1, -0.5, -9]) == "0,ok,sky|sea,'-0.500000|-1.000000")
        #expect(try line([-1, -9, -9]) == "0,ok,sea,-1.000000")
    }
}
