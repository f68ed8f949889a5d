import Compute
import Synchronization
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters

/// Images of noise that differ in their brightness.
private func noiseImages(_ task: String, count: Int) -> CalibrationImages {
    CalibrationImages(task: task, count: count) { index, patches in
        var noise = Noise(state: UInt64(index + 1) &* 77_777)
        let brightness = noise.next()
        for position in patches.indices { patches[position] = 0.5 * noise.next() + brightness }
    }
}

@Suite struct HeadAlignmentTests {
    var head: Head

    init() throws {
        var noise = Noise(state: 3)
        head = try Head(
            task: "t", classes: ["a", "b", "c"],
            weight: Tensor(shape: [3, 6], values: (0..<18).map { _ in 2 * noise.next() }),
            bias: Tensor(shape: [3], values: [0.1, -0.2, 0.3]), activation: .softmax, path: "test")
    }

    /// Rows of noise.
    func noiseTable(_ rows: Int, _ width: Int, seed: UInt64) -> FeatureTable {
        var noise = Noise(state: seed)
        let values = (0..<rows * width).map { _ in noise.next() }
        return FeatureTable(rows: rows, width: width, values: values)
    }

    @Test func featuresThatAreTheSameKeepTheHead() throws {
        let (fitted, held) = (noiseTable(200, 6, seed: 1), noiseTable(50, 6, seed: 2))
        let result = try HeadAlignment().align(head, merged: (fitted, held), single: (fitted, held))
        #expect(result.before.sameLabel == 1 && result.before.divergence < 1e-12)
        #expect(zip(result.head.weight.values, head.weight.values).allSatisfy { abs($0 - $1) < 1e-4 })
        #expect(result.images == 250)
    }

    /// Merged features that are a mixture of the single adapter's, spread over more columns than before, are undone.
    @Test func anAffineMixtureIsUndone() throws {
        var noise = Noise(state: 9)
        let mixture = (0..<12).map { _ in (0..<6).map { _ in noise.next() } }
        func mixed(_ single: FeatureTable) -> FeatureTable {
            var values: [Float] = []
            for row in 0..<single.rows {
                for weights in mixture {
                    var sum: Float = 3
                    for column in 0..<6 { sum += weights[column] * single.values[row * 6 + column] }
                    values.append(sum)
                }
            }
            return FeatureTable(rows: single.rows, width: 12, values: values)
        }
        let fitted = noiseTable(400, 6, seed: 4)
        let held = noiseTable(100, 6, seed: 5)
        let result = try HeadAlignment().align(
            head, merged: (mixed(fitted), mixed(held)), single: (fitted, held))
        #expect(result.before.sameLabel < 0.9)
        #expect(result.after.sameLabel > 0.98)
        #expect(result.after.divergence < result.before.divergence / 50)
        let low = try HeadAlignment(rank: 1).align(head, merged: (mixed(fitted), mixed(held)), single: (fitted, held))
        #expect(low.after.divergence > result.after.divergence)
        #expect(low.after.divergence < low.before.divergence)
    }
}

/// How near answers are by the kind of head.
@Suite struct AgreementTests {
    /// The agreement of logits with a single adapter's, three of each image.
    private func agreement(_ activation: HeadActivation, _ given: [Float], _ wanted: [Float]) throws -> Agreement {
        let head = try Head(
            task: "t", classes: ["a", "b", "c"], weight: Tensor(shape: [3, 3], values: [1, 0, 0, 0, 1, 0, 0, 0, 1]),
            bias: Tensor(shape: [3]), activation: activation, path: "test")
        func table(_ values: [Float]) -> FeatureTable { FeatureTable(rows: values.count / 3, width: 3, values: values) }
        return Agreement(head, table(given), teacher: head, table(wanted))
    }

    private let given: [Float] = [0.5, 0.25, -2, 3, -1, 1, 0, 2, 0.5]
    private let wanted: [Float] = [-0.5, 1, -1, 2, -1.5, 0.5, 1, 2, 0.75]

    @Test func ofClassesTheBestCounts() throws {
        let found = try agreement(.softmax, given, wanted)
        #expect(abs(found.sameLabel - 2.0 / 3) < 1e-12 && abs(found.divergence - 0.129_647) < 1e-6)
    }

    @Test func ofSetsAllClassesCount() throws {
        let found = try agreement(.sigmoid, given, wanted)
        #expect(abs(found.sameLabel - 2.0 / 3) < 1e-12 && abs(found.divergence - 0.157_812) < 1e-6)
        // One class of an image on the other side of a half is another answer, though the best is the same.
        #expect(try agreement(.sigmoid, [3, -1, 1], [3, -1, -1]).sameLabel == 0)
        #expect(try agreement(.softmax, [3, -1, 1], [3, -1, -1]).sameLabel == 1)
    }

    @Test func ofValuesTheShareOfTheirVarianceCounts() throws {
        let found = try agreement(.identity, given, wanted)
        #expect(abs(found.sameLabel - 0.398_358) < 1e-6 && abs(found.divergence - 0.902_463) < 1e-6)
        let same = try agreement(.identity, wanted, wanted)
        #expect(same.sameLabel == 1 && same.divergence == 0)
        // Values that never change are not to be divided by.
        let constant = try agreement(.identity, [1, 1, 1, 1, 1, 2], [1, 1, 1, 1, 1, 1])
        #expect(constant.divergence.isFinite && constant.sameLabel < 1)
    }

    @Test(arguments: [HeadActivation.sigmoid, .identity])
    func alignedHeadsKeepTheirActivation(_ activation: HeadActivation) throws {
        var tests = try HeadAlignmentTests()
        tests.head.activation = activation
        let (fitted, held) = (tests.noiseTable(200, 6, seed: 1), tests.noiseTable(50, 6, seed: 2))
        let shifted = FeatureTable(rows: 200, width: 6, values: fitted.values.map { 0.5 * $0 + 1 })
        let other = FeatureTable(rows: 50, width: 6, values: held.values.map { 0.5 * $0 + 1 })
        let result = try HeadAlignment().align(tests.head, merged: (shifted, other), single: (fitted, held))
        #expect(result.head.activation == activation && result.after.sameLabel > 0.99)
        #expect(result.before.sameLabel < 0.9 && result.after.divergence < result.before.divergence / 100)
    }
}

@Suite struct TaskGroupingTests {
    /// Two triples that do not disturb each other inside.
    @Test(arguments: [6, 12]) func findsTheTasksThatGoTogether(tasks: Int) {
        var loss = [[Double]](repeating: [Double](repeating: 0.01, count: tasks), count: tasks)
        for first in 0..<tasks {
            for second in 0..<tasks where first % 2 != second % 2 { loss[first][second] = 1 + 0.1 * Double(first) }
        }
        let groups = TaskGrouping(loss: loss).partition(into: 2)
        #expect(groups.count == 2)
        #expect(groups.allSatisfy { group in Set(group.map { $0 % 2 }).count == 1 })
        #expect(groups.joined().sorted() == Array(0..<tasks))
    }

    @Test func manyGroupsAreOneTaskEach() {
        let loss = (0..<4).map { first in (0..<4).map { first == $0 ? 0 : 1.0 } }
        #expect(TaskGrouping(loss: loss).partition(into: 4) == [[0], [1], [2], [3]])
        #expect(TaskGrouping(loss: loss).partition(into: 1) == [[0, 1, 2, 3]])
    }
}

@Suite struct CalibratorTests {
    let base: Checkpoint
    let adapters: [WeightedAdapter]

    init() throws {
        let base = try Checkpoint(folder: casePath("base"))
        self.base = base
        adapters = try ["a", "b"].map { .init(try Adapter(task: $0, path: casePath($0), base: base)) }
    }

    func tuner(_ count: Int = 150, precision: OperandType = .f32) throws -> MergeTuner {
        try MergeTuner(
            base: base, adapters: adapters, images: adapters.map { noiseImages($0.adapter.task, count: count) },
            imageSize: base.configuration.imageSize, passes: PassSettings(threads: 2, precision: precision))
    }

    func merge(_ adapters: [WeightedAdapter], scale: Double) throws -> MergedBackbone {
        try MergedBackbone(base: base, adapters: adapters, merge: .sum(scale))
    }

    @Test func aSingleAdapterIsBestAtScaleOne() throws {
        let tuner = try tuner()
        let alone = try merge([adapters[0]], scale: 0.5)
        let (best, losses) = try tuner.chooseScale(of: alone, among: [0.5, 1, 1.5], aligning: false)
        #expect(best.scale == 1)
        #expect(losses.map(\.scale) == [0.5, 1, 1.5])
        #expect(losses[1].loss < 1e-9 && losses[0].loss > 1e-6)
        let scales = (1...40).map { Double($0) / 20 }
        let (found, tried) = try tuner.chooseScale(of: alone, among: scales, aligning: false)
        #expect(found.scale == 1 && tried.count < 20)
        #expect(
            try best.parameter("layers.0.mlp.fc1.weight")
                == merge([adapters[0]], scale: 1).parameter("layers.0.mlp.fc1.weight"))
    }

    /// A pass that measures layers or fits streams gives the single adapter's features, too: no other pass is made.
    @Test func aPassOverTheSingleAdapterGivesItsFeatures() throws {
        let expected = try tuner().single("a", .max)
        let merged = try merge(adapters, scale: 0.5)
        let passes: [(MergeTuner) throws -> Void] = [
            { _ = try $0.inputMoments(of: "a", modules: ["layers.0.attention.q_proj"]) },
            { _ = try StreamFitter($0, StreamSettings(rank: 4)).streams(over: merged) },
        ]
        for pass in passes {
            let prepared = Mutex(0)
            let images = adapters.map { item in
                let noise = noiseImages(item.adapter.task, count: 150)
                return CalibrationImages(task: noise.task, count: noise.count) { index, patches in
                    prepared.withLock { $0 += 1 }
                    noise.prepare(index, patches)
                }
            }
            let tuner = try MergeTuner(
                base: base, adapters: adapters, images: images, imageSize: base.configuration.imageSize,
                passes: PassSettings(threads: 2))
            try pass(tuner)
            let count = prepared.withLock(\.self)
            #expect(count >= 150)
            for limit in [Int.max, 20] {
                let features = try tuner.single("a", limit)
                let rows = min(limit, 120)
                #expect(features.fitted.rows == rows && features.heldOut.rows == min(limit, 30))
                if limit == .max {
                    #expect(features.fitted.values == expected.fitted.values)
                    #expect(features.heldOut.values == expected.heldOut.values)
                }
            }
            #expect(prepared.withLock(\.self) == count)
        }
    }

    /// In f32 nothing changes; in bf16 features are near those of f32, and hardly a label changes.
    @Test(.enabled(if: OperandType.bf16.isSupported, "the processor has no instructions for bf16"))
    func singleAdaptersKeepLabelsInBF16() throws {
        #expect(try tuner().labelsAsInF32() == 1)
        let (exact, reduced) = (try tuner(), try tuner(precision: .bf16))
        #expect(try reduced.labelsAsInF32() > 0.9)
        let (a, b) = (try exact.single("a", .max).fitted, try reduced.single("a", .max).fitted)
        let largest = a.values.map(abs).max() ?? 0
        #expect(a.values != b.values && zip(a.values, b.values).allSatisfy { abs($0 - $1) < 0x1p-9 * 16 * largest })
        let moments = try reduced.inputMoments(of: "a", modules: ["layers.1.mlp.fc1"])
        let expected = try exact.inputMoments(of: "a", modules: ["layers.1.mlp.fc1"])
        for (name, matrix) in expected {
            let found = try #require(moments[name])
            #expect(zip(found.values, matrix.values).allSatisfy { abs($0 - $1) < 0.05 })
        }
    }

    @Test func aligningBringsAnswersNearer() throws {
        let tuner = try tuner()
        for result in try tuner.align(try merge(adapters, scale: 0.5)) {
            #expect(result.after.divergence < result.before.divergence)
            #expect(result.head.weight.shape == [result.head.classes.count, base.configuration.featureSize])
        }
    }

    /// A result that says what the merge made of all images is otherwise the same.
    @Test func alignmentSaysWhatTheMergeMadeOfTheImages() throws {
        let (tuner, merged) = (try tuner(), try merge(adapters, scale: 0.5))
        let plain = try tuner.align(merged)
        let results = try tuner.align(merged, summarizing: ["b"])
        #expect(results.map(\.head) == plain.map(\.head) && results.map(\.after) == plain.map(\.after))
        #expect(plain.allSatisfy { $0.seen == nil } && results[0].seen == nil)
        let seen = try #require(results[1].seen)
        let expected = try tuner.images(of: "b").featuresAndSummaries(tuner.model(merged))
        #expect(seen.features.values == expected.features.values)
        #expect(seen.summaries.values == expected.summaries.values)
    }

    /// The merge of one adapter is that adapter, and its own head cannot be bettered.
    @Test func aHeadThatAlignmentMakesNoBetterStays() throws {
        let (tuner, alone) = (try tuner(), try merge([adapters[0]], scale: 1))
        let result = try #require(try tuner.align(alone).first)
        #expect(result.isKept && !result.isBetter && result.head == adapters[0].adapter.head)
        #expect(result.agreement == result.before && result.before.sameLabel == 1)
        #expect(try tuner.align(alone).map(\.head) == [result.head])
        // What an earlier merge decided is done again, whatever the images say.
        let both = try merge(adapters, scale: 0.5)
        let kept = try tuner.align(both, leaving: [adapters[1].adapter.task])
        #expect(kept.map(\.isKept) == [false, true] && kept[1].head == adapters[1].adapter.head)
        #expect(try tuner.align(alone, leaving: []).map(\.isKept) == [false])
    }

    /// The search needs as many trials as it says, and finds the least loss wherever it is.
    @Test func aSearchTakesNoMoreTrialsThanItSays() {
        for (count, most) in [(1, 1), (2, 2), (3, 3), (12, 5), (17, 6), (20, 6), (21, 7)] {
            #expect(MergeTuner.mostTrials(of: count) == most)
            for least in 0..<count {
                var tried: [Int: Double] = [:]
                MergeTuner.search(count) { index in
                    tried[index] = Double(abs(index - least))
                    return Double(abs(index - least))
                }
                #expect(tried.count <= most && tried[least] == 0)
            }
        }
    }

    @Test func groupsAreAsFewAsTheDropAllows() throws {
        let tuner = try tuner()
        let one = try tuner.groups(of: adapters, maximumDrop: 1) { group, _ in try merge(group, scale: 0.5) }
        #expect(one.merges.map { $0.adapters.map(\.adapter.task) } == [["a", "b"]])
        let two = try tuner.groups(of: adapters, maximumDrop: -1) { group, _ in
            try merge(group, scale: group.count == 1 ? 1 : 0.5)
        }
        #expect(two.merges.map { $0.adapters.map(\.adapter.task) } == [["a"], ["b"]])
        #expect(two.largestDrop < 0.02)
    }

    @Test func imagesAreNeededForEveryTask() throws {
        #expect(throws: ModelError.self) { try tuner(9) }
        #expect(throws: ModelError.self) {
            try MergeTuner(
                base: base, adapters: adapters, images: [noiseImages("a", count: 50)],
                imageSize: base.configuration.imageSize, passes: PassSettings(threads: 1))
        }
    }
}
