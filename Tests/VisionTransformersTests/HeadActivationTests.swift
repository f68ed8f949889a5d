import Files
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

@Suite struct HeadActivationTests {
    /// The test's ViT with a head of some outputs and a `problem_type`.
    func checkpoint(_ problemType: String?, outputs: Int = 7) throws -> CheckpointDraft {
        var draft = try CheckpointDraft("vit")
        draft.tensors =
            draft.backbone + [
                .init("classifier.weight", shape: [outputs, 48]), .init("classifier.bias", shape: [outputs]),
            ]
        draft.configuration["id2label"] = .object(
            (0..<outputs).reduce(into: JSONObject()) { $0["\($1)"] = .string("c\($1)") })
        draft.configuration["problem_type"] = try problemType.map { try JSON(parsing: Array($0.utf8)) }
        return draft
    }

    /// What transformers' pipeline does.
    @Test(
        arguments: [
            (nil, 7, .softmax), (nil, 1, .sigmoid), ("null", 2, .softmax), ("null", 1, .sigmoid),
            (#""single_label_classification""#, 7, .softmax), (#""single_label_classification""#, 1, .sigmoid),
            (#""multi_label_classification""#, 7, .sigmoid), (#""multi_label_classification""#, 1, .sigmoid),
            (#""regression""#, 2, .identity), (#""regression""#, 1, .identity),
        ] as [(String?, Int, HeadActivation)])
    func aCheckpointSaysItsActivation(_ problemType: String?, _ outputs: Int, _ expected: HeadActivation) throws {
        let folder = try checkpoint(problemType, outputs: outputs).written()
        let head = try ModelBundle(folder: folder.path).heads[0]
        #expect(head.activation == expected && head.classes.count == outputs)
    }

    @Test(arguments: [#""multi_label""#, #""Regression""#, #""""#, "1", "true", #"["regression"]"#])
    func anUnknownProblemTypeIsRefused(_ problemType: String) throws {
        let folder = try checkpoint(problemType).written()
        let said = message { _ = try ModelBundle(folder: folder.path) }
        #expect(
            said == "\(folder.path)/config.json: problem_type: expected one of regression, "
                + "single_label_classification, multi_label_classification, found \(problemType)")
    }

    /// A bundle whose task `b` has an activation.
    func bundle(_ activation: String?, version: Int) throws -> BundleTests.Draft {
        var draft = try BundleTests.Draft()
        draft.manifest["format_version"] = .int(version)
        var tasks = try #require(draft.manifest["tasks"]?.arrayValue)
        var task = try #require(tasks[1].objectValue)
        task["activation"] = try activation.map { try JSON(parsing: Array($0.utf8)) }
        tasks[1] = .object(task)
        draft.manifest["tasks"] = .array(tasks)
        return draft
    }

    @Test(
        arguments: [
            (nil, 1, .softmax), (nil, 3, .softmax), (#""softmax""#, 3, .softmax), (#""sigmoid""#, 3, .sigmoid),
            (#""none""#, 3, .identity), (#""sigmoid""#, 1, .sigmoid),
        ] as [(String?, Int, HeadActivation)])
    func aBundleSaysItsActivations(_ activation: String?, _ version: Int, _ expected: HeadActivation) throws {
        let folder = try bundle(activation, version: version).written()
        #expect(try ModelBundle(folder: folder.path).heads.map(\.activation) == [.softmax, expected])
    }

    @Test(arguments: [#""Sigmoid""#, #""relu""#, #""identity""#, "null", "1", #"["softmax"]"#])
    func anUnknownActivationIsRefused(_ activation: String) throws {
        #expect(
            try bundle(activation, version: 3).said()
                == "FOLDER/bundle.json: activation of b: expected one of softmax, sigmoid, none, found \(activation)")
    }

    @Test func onlyASoftmaxHasTheVersionsOfOldBundles() throws {
        func heads(_ activation: String?) throws -> [Head] {
            let folder = try bundle(activation, version: 3).written()
            return try ModelBundle(folder: folder.path).heads
        }
        let (softmax, others) = (try heads(nil), try heads(#""none""#))
        #expect(ModelBundle.formatVersion(of: softmax, isGrouped: false) == 1)
        #expect(ModelBundle.formatVersion(of: softmax, isGrouped: true) == 2)
        #expect(ModelBundle.formatVersion(of: others, isGrouped: false) == 3)
        #expect(ModelBundle.formatVersion(of: others, isGrouped: true) == 3)
    }

    @Test func aHeadThatIsNoSoftmaxIsRefusedByName() throws {
        try HeadActivation.softmax.requireSoftmax(task: "t", for: "study")
        #expect(
            message { try HeadActivation.identity.requireSoftmax(task: "t", for: "study") }
                == "t: study supports heads with activation softmax; the head of this task has none")
    }
}
